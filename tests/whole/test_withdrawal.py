"""A room of three ministries, and a policy that withdraws one: out, silent, and back again."""

import os
import signal
import time
from typing import Any

import pytest

from rabta_deploy.process import until

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]
ITT, FIN, LAW = "itt.gov.test", "fin.gov.test", "law.gov.test"
WITHIN_S = 30

WITHDRAWALS = {
    "suspended": {"suspended": [LAW]},
    "without permits": {"apart": [(ITT, LAW), (FIN, LAW)]},
}


@pytest.mark.parametrize(("way", "version"), [("suspended", "11"), ("without permits", "12")])
def test_a_withdrawn_ministry_is_out_and_hears_nothing_while_the_others_talk_on(
    ministries: Any, way: str, version: str
) -> None:
    ministries.follow()
    amna = ministries.person(ITT, "amna")
    bilal = ministries.person(FIN, "bilal")
    rehana, rashid = (ministries.person(LAW, name) for name in ("rehana", "rashid"))
    room = amna.create_room(name="Budget", room_version=version)
    bilal.comes(room, by=amna)
    rehana.comes(room, by=amna)
    assert until(lambda: amna.invite(room, rashid.user_id).status == 200, within_s=20)
    assert until(lambda: rashid.invited_to(room), within_s=20)
    before = [f"{way}-before-{number}" for number in range(3)]
    for marker, speaker in zip(before, (amna, bilal, rehana), strict=True):
        speaker.say(room, marker)
        assert all(person.hears(room, marker) for person in (amna, bilal, rehana))

    started = time.monotonic()
    ministries.publish(**WITHDRAWALS[way])

    assert until(
        lambda: all(
            person.members(room).get(gone.user_id) == "leave"
            for person in (amna, bilal)
            for gone in (rehana, rashid)
        ),
        within_s=WITHIN_S,
    )
    # Its own homeserver says so too.
    assert until(lambda: room not in rehana.rooms(), within_s=WITHIN_S)
    assert time.monotonic() - started < WITHIN_S
    assert rehana.say_refused(room)

    # The kick itself is the last that it is told.
    silent_from = ministries.quiet(LAW)
    during = [f"{way}-during-{number}" for number in range(4)]
    for marker, speaker in zip(during, (amna, bilal) * 2, strict=True):
        speaker.say(room, marker)
        assert amna.hears(room, marker)
        assert bilal.hears(room, marker)
    for person in (amna, bilal):
        assert [marker for marker in person.heard(room) if marker.startswith(way)] == [
            *before,
            *during,
        ]
    assert ministries.received(LAW) == silent_from
    assert [ministries.stored(LAW, marker) for marker in during] == [[]] * 4
    # What it heard while it was in stays with it.
    assert [marker for marker in rehana.heard(room) if marker.startswith(way)] == before

    ministries.follow()
    again = f"{way}-again"
    amna.say(room, again)
    assert bilal.hears(room, again)
    # The right alone brings nobody back.
    assert rehana.join(room, ITT).status >= 400
    assert ministries.stored(LAW, again) == []
    rehana.comes(room, by=amna)
    after = [f"{way}-after-{number}" for number in range(3)]
    for marker, speaker in zip(after, (rehana, amna, bilal), strict=True):
        speaker.say(room, marker)
        assert all(person.hears(room, marker) for person in (amna, bilal, rehana))
    for person in (amna, bilal):
        assert [marker for marker in person.heard(room) if marker.startswith(way)] == [
            *before,
            *during,
            again,
            *after,
        ]


def test_guests_who_may_no_longer_meet_are_parted_and_the_larger_party_stays(
    ministries: Any,
) -> None:
    ministries.follow()
    amna, asad = (ministries.person(ITT, name) for name in ("amna", "asad"))
    bilal = ministries.person(FIN, "bilal")
    rehana = ministries.person(LAW, "rehana")
    room = bilal.create_room(name="Of-Finance")
    for guest in (amna, asad, rehana):
        guest.comes(room, by=bilal)
    # A guest's server sends to those it knows of; the home tells it of the later ones.
    assert until(lambda: amna.members(room).get(rehana.user_id) == "join", within_s=20)
    for speaker in (amna, rehana):
        speaker.say(room, f"together-{speaker.user_id}")
        assert all(one.hears(room, f"together-{speaker.user_id}") for one in (amna, bilal, rehana))

    ministries.publish(apart=[(ITT, LAW)])

    assert until(
        lambda: bilal.members(room).get(rehana.user_id) == "leave" and room not in rehana.rooms(),
        within_s=WITHIN_S,
    )
    amna.say(room, "ITT-and-FIN-talk-on")
    assert bilal.hears(room, "ITT-and-FIN-talk-on")
    assert {who: how for who, how in bilal.members(room).items() if how == "join"} == {
        one.user_id: "join" for one in (amna, asad, bilal)
    }
    assert ministries.stored(LAW, "ITT-and-FIN-talk-on") == []


def test_our_people_leave_where_nobody_else_parts_them_from_whom_they_may_not_meet(
    ministries: Any,
) -> None:
    ministries.follow()
    amna, asad = (ministries.person(ITT, name) for name in ("amna", "asad"))
    bilal = ministries.person(FIN, "bilal")
    rehana = ministries.person(LAW, "rehana")
    room = bilal.create_room(name="Of-Finance-asleep")
    for guest in (amna, asad, rehana):
        guest.comes(room, by=bilal)
    asleep = [
        child.pid
        for name in (FIN, LAW)
        for child in ministries.all[name].homeserver.children.values()
    ]

    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    try:
        ministries.publish(apart=[(ITT, LAW)])
        # ITT would stay, for it is the larger party; but nobody puts LAW out.
        assert until(
            lambda: room not in amna.rooms() and room not in asad.rooms(), within_s=WITHIN_S
        )
    finally:
        for pid in asleep:
            os.kill(pid, signal.SIGCONT)
    assert until(lambda: rehana.ask("GET", "account/whoami").status == 200, within_s=WITHIN_S)


def test_a_room_of_the_withdrawn_ministry_is_left_by_the_others(ministries: Any) -> None:
    ministries.follow()
    amna = ministries.person(ITT, "amna")
    bilal = ministries.person(FIN, "bilal")
    rehana = ministries.person(LAW, "rehana")
    room = rehana.create_room(name="Of-Law")
    amna.comes(room, by=rehana)
    bilal.comes(room, by=rehana)
    assert until(lambda: amna.members(room).get(bilal.user_id) == "join", within_s=20)
    amna.say(room, "in-the-room-of-LAW")
    assert all(person.hears(room, "in-the-room-of-LAW") for person in (amna, bilal, rehana))

    ministries.publish(suspended=[LAW])

    assert until(lambda: room not in amna.rooms() and room not in bilal.rooms(), within_s=WITHIN_S)
    assert until(
        lambda: [how for how in rehana.members(room).values() if how == "join"] == ["join"],
        within_s=WITHIN_S,
    )
    # Each keeps what it heard.
    assert "in-the-room-of-LAW" in amna.heard(room)
    rehana.say(room, "LAW-to-itself")
    assert ministries.stored(ITT, "LAW-to-itself") == []
