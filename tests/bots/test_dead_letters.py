"""What is refused for good is kept, told by codes alone, and settled by an operator."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from earlier import back_to
from events import Telling
from ministry import BILAL, NOW, Hands, Ministry, Running, running
from office import office
from recorder import Recorder
from sqlalchemy import Connection, select

from rabta_bots.matrix import MatrixError
from rabta_bots.store.cards import close_card
from rabta_bots.store.dead_letters import (
    DeadLetter,
    DeadLetterError,
    dead_letters,
    drop_letter,
    retry_letter,
)
from rabta_bots.store.opening import open_store
from rabta_bots.store.tables import audit, commands, outbox
from rabta_deploy.cli.bridge import bridge as command_line

TOO_LARGE = MatrixError("content-too-large", permanent=True)
DAY = timedelta(hours=24)


def letters(place: Running) -> list[DeadLetter]:
    """What the store holds now."""
    with place.engine.begin() as connection:
        return dead_letters(connection)


def retried(place: Running, name: str) -> None:
    """The operator has it tried again."""
    with place.engine.begin() as connection:
        retry_letter(connection, name, "operator:test", place.hands(), DAY)


def audited(connection: Connection, what: str) -> list[tuple[str, str, str]]:
    """Reason, actor and detail of the audit's rows."""
    query = select(audit.c.reason, audit.c.actor, audit.c.detail).where(audit.c.what == what)
    return [(row.reason, row.actor, row.detail) for row in connection.execute(query)]


async def deliver_all(place: Running, *events: Any) -> None:
    """Deliver one after the other, each taken."""
    for event in events:
        assert (await place.deliver(event))[0] == 202


async def test_a_refused_message_is_kept_counted_and_shown_when_it_is_tried_again(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    chat = Recorder(failures=[TOO_LARGE])
    async with running(any_ministry, chat) as place:
        await deliver_all(place, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        letter = (await eventually(lambda: letters(place), what="the dead letter"))[0]
        assert (letter.kind, letter.part, letter.reason) == (
            "message",
            "issue",
            "content-too-large",
        )
        assert letter.post_id == "ITT-DS-ADMN"
        async with place.session.get(f"{place.url}/metrics") as answer:
            assert 'dead_letters{kind="message"} 1.0' in await answer.text()
        async with place.session.get(f"{place.url}/health/ready") as answer:
            assert (await answer.json())["messages_dead"] == 1

        retried(place, letter.name)
        assert len(await eventually(chat.cards, what="the card")) == 1
        assert letters(place) == []
        with place.engine.begin() as connection:
            assert audited(connection, "dead-letter-retried") == [
                ("content-too-large", "operator:test", letter.name)
            ]


async def test_a_refused_answer_keeps_its_words_until_it_is_tried_again_or_dropped(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as place:
        chat = place.chat
        await deliver_all(place, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        room = (await eventually(chat.cards))[0].room_id
        said = []
        for _ in range(2):
            chat.failures.append(TOO_LARGE)
            said.append(chat.write(BILAL, room, "pending"))
            await eventually(lambda: not chat.failures)
        kept, given_up = await eventually(
            lambda: found if len(found := letters(place)) == 2 else None, what="two dead letters"
        )
        assert (kept.part, kept.card_id) == ("say", None)
        retried(place, kept.name)
        assert "#1 " in (await eventually(lambda: chat.answer_to(said[0]))).body

        with place.engine.begin() as connection:
            drop_letter(connection, given_up.name, "operator:test", "the officer asked again", NOW)
        with place.engine.begin() as connection:
            row = connection.execute(
                select(outbox).where(outbox.c.row == int(given_up.name[1:]))
            ).one()
            assert (row.state, row.content) == ("dropped", None)
            assert audited(connection, "dead-letter-dropped") == [
                (
                    "content-too-large",
                    "operator:test",
                    f"{given_up.name}: the officer asked again",
                )
            ]
            with pytest.raises(DeadLetterError, match="no-such-letter"):
                retry_letter(connection, given_up.name, "operator:test", NOW, DAY)
        assert letters(place) == []


async def test_what_was_overtaken_is_no_dead_letter(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as place:
        # Nobody with an account holds the post: the card waits.
        await deliver_all(place, telling.charge("ITT-DS-ADMN", "p-9"), telling.marked())

        def waits() -> bool:
            with place.engine.begin() as connection:
                query = select(outbox.c.row).where(outbox.c.state == "waiting")
                return connection.execute(query).first() is not None

        await eventually(waits, what="the waiting card")

        def moot() -> list[str]:
            with place.engine.begin() as connection:
                query = select(outbox.c.reason).where(outbox.c.state == "moot")
                return list(connection.execute(query).scalars())

        with place.engine.begin() as connection:
            close_card(connection, 1, "withdrawn", {"result": "withdrawn"}, NOW)
        place.hands.advance(minutes=1)
        both = {"closed-before-shown", "never-shown"}
        await eventually(lambda: set(moot()) == both, what="the moot rows")
        assert letters(place) == []


async def lost_command(place: Running, eventually: Any) -> tuple[str, DeadLetter]:
    """A command that e-Office could not be brought to take for a day."""

    def shown() -> bool:
        with place.engine.begin() as connection:
            query = select(audit.c.row).where(audit.c.what == "card-shown")
            return connection.execute(query).first() is not None

    await eventually(shown, what="the card")
    card = place.chat.cards()[0]
    said = place.chat.write(BILAL, card.room_id, "discuss", reply_to=card.event_id)
    kept = await eventually(lambda: place.chat.answer_to(said), what="the first answer")
    assert "kept and tried again" in kept.body
    place.hands.advance(hours=25)
    return said, (await eventually(lambda: letters(place), what="the dead letter"))[0]


async def test_a_command_that_never_reached_e_office_is_brought_there_when_tried_again(
    any_ministry: Ministry, eventually: Any
) -> None:
    async with office(any_ministry, card_lifetime_hours=99) as place:
        file_id = place.open_file()
        place.put_up(file_id)
        card = (await eventually(place.chat.cards))[0]
        good = place.bridge.bridge._dispatcher._desk.url
        desk = place.bridge.bridge._dispatcher._desk
        object.__setattr__(desk, "url", "http://127.0.0.1:9")
        said, letter = await lost_command(place.bridge, eventually)
        assert (letter.kind, letter.part, letter.reason) == (
            "command",
            "discuss",
            "eoffice-unreachable",
        )
        first = await eventually(
            lambda: (
                answer
                if (answer := place.chat.answer_to(said)) and "unreachable" in answer.body
                else None
            )
        )
        object.__setattr__(desk, "url", good)
        retried(place.bridge, letter.name)
        second = await eventually(
            lambda: (
                answer
                if (answer := place.chat.answer_to(said)) and answer.event_id != first.event_id
                else None
            ),
            what="the second answer",
        )
        assert "unreachable" not in second.body
        assert place.chat.edit_of(card.event_id) is None  # a discussion leaves the card open
        assert letters(place.bridge) == []


async def test_a_lost_command_is_not_tried_again_on_a_closed_card(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry, card_lifetime_hours=99) as place:
        await deliver_all(place, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        _, letter = await lost_command(place, eventually)
        with place.engine.begin() as connection:
            close_card(connection, 1, "withdrawn", {"result": "withdrawn"}, place.hands())
        with pytest.raises(DeadLetterError, match="card-closed"):
            retried(place, letter.name)
        with place.engine.begin() as connection:
            drop_letter(connection, letter.name, "operator:test", "withdrawn since", place.hands())
            row = connection.execute(select(commands)).one()
        assert (row.state, row.body, row.remarks) == ("dropped", None, None)


def rabta(config: Path, *arguments: str) -> Result:
    """`rabta bridge dead-letters ...` on the settings."""
    return CliRunner().invoke(
        command_line, ["dead-letters", *arguments, "--config", str(config)], catch_exceptions=False
    )


async def test_the_command_line_lists_retries_and_drops_and_shows_no_content(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    config = any_ministry.home / "bridge.yaml"
    config.write_text(yaml.safe_dump(any_ministry.document()), encoding="utf-8")
    chat = Recorder(failures=[TOO_LARGE, TOO_LARGE])
    async with running(any_ministry, chat) as place:
        event = telling.marked()
        await deliver_all(place, telling.charge("ITT-DS-ADMN", "p-2"), event)
        await deliver_all(place, telling.charge("ITT-JS", "p-3"), telling.marked("ITT-JS"))
        found = await eventually(lambda: letters(place) if len(letters(place)) == 2 else None)
        names = [letter.name for letter in found]
    listed = rabta(config, "list")
    assert listed.exit_code == 0
    assert listed.output.count("content-too-large") == 2
    assert listed.output.endswith("2 dead letters\n")
    assert event.data.file is not None
    for word in (event.data.file.subject, event.data.file.file_no):
        assert word
        assert word not in listed.output

    assert "is dropped" in rabta(config, "drop", names[0], "--reason", "sent by hand").output
    assert rabta(config, "drop", names[1], "--reason", " ").exit_code == 2
    assert rabta(config, "drop", names[1]).exit_code == 2
    assert "is tried again" in rabta(config, "retry", names[1]).output
    again = rabta(config, "retry", names[0])
    assert again.exit_code == 1
    assert "no-such-letter" in again.output
    assert rabta(config, "list").output == "0 dead letters\n"
    with place.engine.begin() as connection:
        assert (
            connection.execute(
                select(outbox.c.state).where(outbox.c.row == int(names[1][1:]))
            ).scalar_one()
            == "pending"
        )
        assert [row[2] for row in audited(connection, "dead-letter-dropped")] == [
            f"{names[0]}: sent by hand"
        ]
    place.engine.dispose()


def test_a_store_of_the_first_version_is_brought_to_this_one_by_the_bridge_alone(
    any_ministry: Ministry, hands: Hands
) -> None:
    config = any_ministry.home / "bridge.yaml"
    config.write_text(yaml.safe_dump(any_ministry.document()), encoding="utf-8")
    url = any_ministry.settings().database.full_url()
    engine = open_store(url, hands)
    with engine.begin() as connection:
        back_to(connection, 1)
    engine.dispose()
    early = rabta(config, "list")
    assert early.exit_code == 1
    assert "the store is of version 1" in early.output
    engine = open_store(url, hands)
    engine.dispose()
    assert rabta(config, "list").output == "0 dead letters\n"
