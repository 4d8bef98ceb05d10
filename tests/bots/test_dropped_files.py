"""An e-Office that no network reaches: signed files in, command files out, each once."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from events import Telling
from ministry import (
    BILAL,
    COMMAND_SECRET,
    OTHER_SECRET,
    SECRET,
    Hands,
    Ministry,
    Running,
    running,
)
from sqlalchemy import select

from rabta_bots.store.tables import audit, commands, events
from rabta_contract import Event, SigningSecrets, batch_bytes, parse_command, sign, verify
from rabta_contract.command import IDEMPOTENCY_KEY_HEADER
from rabta_contract.envelope import enveloped, opened

Eventually = Callable[..., Any]


def cut_off(ministry: Ministry, **changes: Any) -> dict[str, Any]:
    """The settings of a bridge whose e-Office is reached by files alone."""
    eoffice = {
        "folder": str(ministry.home / "folder"),
        "command_secret_file": str(ministry.home / "command.secret"),
    }
    return {"eoffice": eoffice} | changes


def delivery(hands: Hands, *told: Event, name: str | None = None, secret: str = SECRET) -> bytes:
    """A file as e-Office makes it."""
    body = batch_bytes(told)
    headers = sign(name or told[0].id, body, SigningSecrets.parse(secret), hands())
    headers["Content-Type"] = "application/cloudevents-batch+json"
    return enveloped(headers, body)


def drop(ministry: Ministry, name: str, content: bytes) -> None:
    """Rename a whole file into the folder."""
    incoming = ministry.home / "folder/incoming"
    half = incoming / f".{name}"
    half.write_bytes(content)
    half.rename(incoming / name)


def lying(ministry: Ministry, folder: str) -> list[str]:
    """The names in one of the folders."""
    return sorted(path.name for path in (ministry.home / "folder" / folder).iterdir())


def stored(bridge: Running) -> list[str]:
    """The event ids in the store, and by which way they came."""
    with bridge.engine.begin() as connection:
        rows = connection.execute(select(events.c.event_id, events.c.via).order_by(events.c.row))
        return [f"{row.event_id} {row.via}" for row in rows]


async def test_a_dropped_file_is_stored_once_however_old_it_is_and_however_often_it_comes(
    any_ministry: Ministry, telling: Telling, hands: Hands, eventually: Eventually
) -> None:
    charge, marked = telling.charge("ITT-DS-ADMN", "p-2"), telling.marked()
    first, second = delivery(hands, charge), delivery(hands, marked)
    hands.advance(days=9)  # on a stick in somebody's pocket
    async with running(any_ministry, **cut_off(any_ministry)) as bridge:
        drop(any_ministry, "0001", first)
        drop(any_ministry, "0002", second)
        await eventually(lambda: lying(any_ministry, "processed") == ["0001", "0002"])
        assert stored(bridge) == [f"{charge.id} drop", f"{marked.id} drop"]
        await eventually(bridge.chat.cards, what="the card")

        # The same file again, the same events under another id, and the file after a crash
        # between storing and moving: all of it is known.
        drop(any_ministry, "0001", first)
        drop(any_ministry, "0003", delivery(hands, charge, marked, name="again"))
        await eventually(lambda: len(lying(any_ministry, "processed")) == 4)
        assert lying(any_ministry, "processed") == ["0001", "0001.1", "0002", "0003"]
        assert len(stored(bridge)) == 2
        assert len(bridge.chat.cards()) == 1
        assert lying(any_ministry, "refused") == []


async def test_a_file_that_cannot_be_taken_lies_refused_with_its_reason_and_is_audited(
    ministry: Ministry, telling: Telling, hands: Hands, eventually: Eventually
) -> None:
    charge = telling.charge("ITT-DS-ADMN", "p-2")
    good = delivery(hands, charge)
    headers, body = opened(good)
    wrong: dict[str, tuple[bytes, str]] = {
        "altered": (good.replace(b"p-2", b"p-3"), "bad-signature"),
        "no-head": (body, "malformed-envelope"),
        "no-json": (_signed(hands, b"]"), "malformed-json"),
        "other": (delivery(hands, charge, secret=OTHER_SECRET), "bad-signature"),
        "plain": (enveloped(headers | {"content-type": "text/plain"}, body), "media-type"),
        "stranger": (delivery(hands, telling.marked("ITT-JS"), name="s"), "unknown-post"),
        "twice": (b"webhook-id: again\n" + good, "malformed-envelope"),
        "vast": (b"x" * 100_000, "too-large"),
    }
    async with running(ministry, **cut_off(ministry)) as bridge:
        for name, (content, _) in wrong.items():
            drop(ministry, name, content)
        os.mkfifo(ministry.home / "folder/incoming/pipe")
        (ministry.home / "folder/incoming/link").symlink_to(ministry.home / "policy.json")
        expected = {name: reason for name, (_, reason) in wrong.items()}
        expected |= {"pipe": "unreadable-file", "link": "unreadable-file"}
        await eventually(lambda: len(lying(ministry, "refused")) == 2 * len(expected))
        told = {
            path.stem: json.loads(path.read_text())["reason"]
            for path in (ministry.home / "folder/refused").glob("*.reason")
        }
        assert told == expected
        assert lying(ministry, "incoming") == lying(ministry, "processed") == []
        assert stored(bridge) == []
        with bridge.engine.begin() as connection:
            audited = connection.execute(select(audit.c.reason)).scalars().all()
        assert "unknown-post" in audited


def _signed(hands: Hands, body: bytes) -> bytes:
    headers = sign("raw", body, SigningSecrets.parse(SECRET), hands())
    return enveloped(headers | {"Content-Type": "application/cloudevents+json"}, body)


async def test_files_that_come_in_the_wrong_order_are_shown_in_the_right_one(
    ministry: Ministry, telling: Telling, hands: Hands, eventually: Eventually
) -> None:
    charge = telling.charge("ITT-DS-ADMN", "p-2")
    # A later movement would close the first card, perhaps before it was shown.
    first, second = telling.marked(), telling.marked(kind="reminder.sent")
    patient = cut_off(ministry, intake={"gap_wait_seconds": 60})
    async with running(ministry, **patient) as bridge:
        # Nobody has heard of the post yet: the file waits for the one that names it.
        drop(ministry, "3", delivery(hands, second))
        drop(ministry, "half.part", b"not whole yet")
        drop(ministry, "4", delivery(hands, charge))
        await eventually(lambda: lying(ministry, "processed") == ["3", "4"])
        assert bridge.chat.cards() == []
        drop(ministry, "5", delivery(hands, first))
        await eventually(lambda: len(bridge.chat.cards()) == 2)
        shown = [card.body.partition(":")[0] for card in bridge.chat.cards()]
        assert shown == ["Put up to you", "Reminder"]
        assert lying(ministry, "incoming") == ["half.part"]
        assert lying(ministry, "refused") == []


async def test_a_number_that_never_comes_holds_up_what_follows_once_and_not_for_ever(
    ministry: Ministry, telling: Telling, hands: Hands, eventually: Eventually
) -> None:
    charge, lost = telling.charge("ITT-DS-ADMN", "p-2"), telling.marked()
    later = [telling.marked() for _ in range(3)]
    async with running(ministry, **cut_off(ministry, intake={"gap_wait_seconds": 60})) as bridge:
        drop(ministry, "1", delivery(hands, charge))
        drop(ministry, "2", delivery(hands, later[0]))
        await eventually(lambda: len(lying(ministry, "processed")) == 2)
        assert bridge.chat.cards() == []
        hands.advance(seconds=61)
        await eventually(lambda: len(bridge.chat.cards()) == 1)
        # The gap was waited for; the clock stands still now and the rest is shown all the same.
        drop(ministry, "3", delivery(hands, *later[1:]))
        await eventually(lambda: len(bridge.chat.cards()) == 3)
        # What was lost is found: late, and not lost.
        drop(ministry, "4", delivery(hands, lost))
        await eventually(lambda: len(bridge.chat.cards()) == 4)


async def test_a_decision_goes_out_as_one_signed_file_and_its_answer_comes_back_as_one(
    ministry: Ministry, telling: Telling, hands: Hands, eventually: Eventually
) -> None:
    folder = ministry.home / "folder"
    charge, marked = telling.charge("ITT-DS-ADMN", "p-2"), telling.marked()
    async with running(ministry, **cut_off(ministry)) as bridge:
        drop(ministry, "1", delivery(hands, charge, marked))
        card = (await eventually(bridge.chat.cards))[0]
        bridge.chat.write(BILAL, card.room_id, "approve", reply_to=card.event_id)
        await eventually(lambda: [sent for sent in bridge.chat.sent if "1000" in sent.body])
        bridge.chat.write(BILAL, card.room_id, "yes 1000")
        (name,) = await eventually(lambda: list((folder / "outgoing").glob("*.command")))
        headers, body = opened(name.read_bytes())
        command = parse_command(body)
        secrets = SigningSecrets.parse(COMMAND_SECRET)
        assert verify(headers, body, secrets, hands()) == command.command_id
        assert headers[IDEMPOTENCY_KEY_HEADER.lower()] == command.command_id
        assert (command.command, command.person_id) == ("approve", "p-2")
        name.unlink()  # carried away

        result = {
            "command_id": command.command_id,
            "outcome": "approved",
            "file_id": command.file_id,
            "note_para": 2,
            "recorded_at": hands().isoformat(),
        }
        answers = folder / "answers"
        # An answer of another hand, and one of another command, are no answers.
        _answer(answers, hands, command.command_id, result, secret=OTHER_SECRET)
        hands.advance(minutes=10)
        await eventually(lambda: _attempts(bridge) >= 2)
        _answer(answers, hands, command.command_id, result, webhook_id="another")
        hands.advance(minutes=10)
        await eventually(lambda: _attempts(bridge) >= 3)
        assert bridge.chat.edit_of(card.event_id) is None
        # Tried again it is not written again: the file is on its way.
        assert lying(ministry, "outgoing") == []

        _answer(answers, hands, command.command_id, result)
        hands.advance(minutes=10)
        edit = await eventually(lambda: bridge.chat.edit_of(card.event_id), what="the outcome")
        assert edit.content["m.new_content"]["body"].startswith("Approved: ")


def _attempts(bridge: Running) -> int:
    with bridge.engine.begin() as connection:
        return int(connection.execute(select(commands.c.attempts)).scalar_one())


def _answer(
    folder: Path,
    hands: Hands,
    command_id: str,
    result: dict[str, Any],
    *,
    secret: str = SECRET,
    webhook_id: str | None = None,
) -> None:
    body = json.dumps(result).encode()
    headers = sign(webhook_id or command_id, body, SigningSecrets.parse(secret), hands())
    half = folder / f".{command_id}"
    half.write_bytes(enveloped(headers, body))
    half.rename(folder / f"{command_id}.answer")


async def test_a_replaced_webhook_secret_is_in_force_without_a_restart(
    ministry: Ministry, telling: Telling
) -> None:
    secret = ministry.home / "webhook.secret"
    async with running(ministry) as bridge:
        one, two, three = (telling.charge("ITT-DS-ADMN", "p-2") for _ in range(3))
        assert (await bridge.deliver(one))[0] == 202
        assert (await bridge.deliver(two, secret=OTHER_SECRET))[0] == 401
        _replace(secret, f"{OTHER_SECRET}\n{SECRET}")  # both live
        assert (await bridge.deliver(two, secret=OTHER_SECRET))[0] == 202
        assert (await bridge.deliver(two, secret=SECRET))[0] == 200
        _replace(secret, OTHER_SECRET)
        assert (await bridge.deliver(three, secret=SECRET))[0] == 401
        # A file with a fault leaves what was in force.
        _replace(secret, "whsec_tooshort")
        assert (await bridge.deliver(three, secret=OTHER_SECRET))[0] == 202


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name("fresh")
    fresh.write_text(text)
    fresh.chmod(0o600)
    fresh.replace(path)
