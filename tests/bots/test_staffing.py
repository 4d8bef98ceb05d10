"""Where the directory says who holds a post, the bridge follows it and not e-Office."""

from typing import Any

from events import Telling
from ministry import AYESHA, BILAL, NOW, PERSONS, Ministry, Running, deliver_all, running
from sqlalchemy import select

from rabta_bots.store.posts import known_posts, post_names
from rabta_bots.store.tables import audit


def known(bridge: Running, post_id: str) -> bool:
    """Whether the bridge has the post."""
    with bridge.engine.connect() as connection:
        return bool(known_posts(connection, [post_id]))


def write(
    ministry: Ministry, *holders: str, post: str = "ITT-DS-ADMN", kind: str = "regular"
) -> None:
    """The directory with one post."""
    charges = [{"person_id": one, "kind": kind, "from": NOW.isoformat()} for one in holders]
    told = {"designation": "Deputy Secretary", "section": "Admn-II", "charges": charges}
    ministry.write_directory(PERSONS, {post: told})


async def test_a_room_follows_the_directory_and_not_eoffice(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    write(any_ministry, "p-1")
    async with running(any_ministry) as bridge:
        # The post is known before any charge event has named it.
        await eventually(lambda: known(bridge, "ITT-DS-ADMN"))
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        (card,) = await eventually(bridge.chat.cards)
        room = bridge.chat.rooms[card.room_id]
        assert room[AYESHA] == "invite"
        write(any_ministry, "p-2")
        await eventually(lambda: room.get(BILAL) == "invite")
        assert room[AYESHA] == "leave"
        write(any_ministry)
        await eventually(lambda: room[BILAL] == "leave")
        with bridge.engine.connect() as connection:
            assert post_names(connection, "ITT-DS-ADMN")[0] == "Deputy Secretary"
            reasons = connection.execute(select(audit.c.what, audit.c.reason)).all()
    assert ("charge-not-taken", "kept-by-directory") in [tuple(row) for row in reasons]


async def test_who_looks_after_a_post_of_the_directory_may_not_decide(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    write(ministry, "p-1", kind="look_after")
    async with running(ministry) as bridge:
        await eventually(lambda: known(bridge, "ITT-DS-ADMN"))
        await deliver_all(bridge, telling.marked())
        (card,) = await eventually(bridge.chat.cards)
        said = bridge.chat.write(AYESHA, card.room_id, "approve")
        answer = await eventually(lambda: bridge.chat.answer_to(said))
        assert "[look-after-may-not-decide]" in answer.body
