"""The story that the demo plays by itself: a file goes round, in encrypted rooms, and is decided.

The officers are real second clients (matrix-js-sdk, strict about unsigned devices); each step
counts only when such a client, or e-Office itself, has seen it.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from rabta_deploy.accounts import Account
from rabta_deploy.eoffice_person import Clerk
from rabta_deploy.fault import YardError
from rabta_deploy.network import Network
from rabta_deploy.officer import Message, Officer, OfficerError

# Persons of config/demo-directory.yaml.
SECTION_OFFICER = "p-10233"
DEPUTY_SECRETARY = "p-10040"
LOOKING_AFTER = "p-10077"
BUDGET_OFFICER = "p-20015"
_WITHIN_S = 60.0
_SAY_TIMES = 3


class StoryError(YardError):
    """A step of the story was not seen."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A step of the story that was seen.

    Attributes:
        seen: What, as a sentence.
        detail: Evidence, one line.
        seconds: Since the step before.
    """

    seen: str
    detail: str
    seconds: float


@asynccontextmanager
async def signed_in(account: Account) -> AsyncIterator[Officer]:
    """A new device of an officer, signed by its owner; logged out at the end."""
    async with Officer() as officer:
        await account.sign_in(officer)
        yield officer
        await officer.logout()


async def find_card(
    officer: Officer, bot: str, text: str, *, within_s: float
) -> tuple[str, Message]:
    """The room and the message of the card that holds `text`; the bridge's invites are accepted.

    Raises:
        StoryError: `card-not-seen` at the deadline.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    shut: dict[str, str] = {}
    while loop.time() < deadline:
        shut = {}
        for room in await officer.rooms():
            room_id = room["room_id"]
            if room["membership"] == "invite" and room["inviter"] == bot:
                await officer.join(room_id)
            elif room["membership"] != "join":
                continue
            for message in reversed(await officer.messages(room_id)):
                if message["sender"] == bot and text in (message["body"] or ""):
                    return room_id, message
                if message["sender"] == bot and message["failure"]:
                    shut[message["event_id"]] = message["failure"]
        await asyncio.sleep(0.2)
    unread = ", ".join(f"{event_id} {failure}" for event_id, failure in shut.items())
    raise StoryError(
        "card-not-seen",
        f"No card with {text} came within {within_s:.0f} s. Not readable: {unread or 'nothing'}.",
        "read bridge.log",
    )


async def decide(officer: Officer, bot: str, room: str, card: Message, command: str) -> Message:
    """Reply a command to a card, and confirm the bridge's question. Returns the question."""
    said = await officer.send(room, command, reply_to=card["event_id"])
    question = await officer.wait_message(
        room, sender=bot, after=said, contains="yes ", within_s=_WITHIN_S
    )
    code = re.search(r"yes (\d{4})", question["body"])
    if code is None:
        raise StoryError("no-question", f"The bridge asked: {question['body']}", "read bridge.log")
    await officer.send(room, code.group())
    return question


async def play(network: Network, report: Callable[[Seen], None]) -> None:
    """Play it; `report` is told of each step when it was seen.

    Raises:
        YardError: A step was not seen.
    """
    story = _Story(network, report)
    deputy = network.accounts[DEPUTY_SECRETARY]
    async with signed_in(deputy) as officer:
        await story.file_goes_round(officer)
        async with signed_in(network.accounts[BUDGET_OFFICER]) as other:
            await story.ministries_meet(officer, other)


class _Story:
    def __init__(self, network: Network, report: Callable[[Seen], None]) -> None:
        self._network = network
        self._report = report
        self._since = asyncio.get_running_loop().time()

    def _seen(self, what: str, detail: str) -> None:
        now = asyncio.get_running_loop().time()
        self._report(Seen(what, detail, round(now - self._since, 2)))
        self._since = now

    async def file_goes_round(self, officer: Officer) -> None:
        network, bot = self._network, self._network.bot_user_id
        secretary = network.accounts[DEPUTY_SECRETARY]
        author = network.accounts[SECTION_OFFICER]
        clerk = Clerk(network.office.eoffice_url, author.person_id, author.password)
        number = f"F.No.1({network.clock():%d%H%M%S})/{network.clock():%Y}-Admn-II"
        file_id = clerk.open_file(
            author.post_id,
            number,
            "Procurement of networking equipment",
            classification="RESTRICTED",
        )
        clerk.act(
            file_id,
            "put-up",
            author.post_id,
            to_post=secretary.post_id,
            note="For approval, please.",
        )
        self._seen("The section officer put a file up in e-Office", f"{number} ({file_id})")
        room, card = await find_card(officer, bot, number, within_s=_WITHIN_S)
        _require(card["encrypted"], "card-not-encrypted", "The card came unencrypted.")
        _require(card["shield"] == "none", "card-shield", f"A warning: {card['shield_reason']}")
        self._seen("One encrypted card came to the deputy secretary, with no warning", room)
        question = await decide(officer, bot, room, card, "approve")
        self._seen("The bridge asked to confirm, and the officer did", _line(question))
        state = await clerk.wait_file(file_id, decided="approved", within_s=_WITHIN_S)
        ledger = [row for row in state["decisions"] if row["outcome"] == "approved"]
        _require(len(ledger) == 1, "decided-twice", f"The ledger holds {len(ledger)} approvals.")
        self._seen("e-Office holds the decision once", f"by {ledger[0]['matrix_user']}")
        edited = await officer.wait_message(
            room, event_id=card["event_id"], edited=True, within_s=_WITHIN_S
        )
        self._seen("The card shows the outcome", _line(edited))

    async def ministries_meet(self, officer: Officer, other: Officer) -> None:
        own = self._network.accounts[DEPUTY_SECRETARY].user_id
        guest = self._network.accounts[BUDGET_OFFICER].user_id
        room = await officer.create_room(name="Budget of the year", invite=[guest])
        await other.wait_room(room=room, within_s=_WITHIN_S)
        await other.join(room, within_s=_WITHIN_S)
        for speaker, listener, sender in ((officer, other, own), (other, officer, guest)):
            heard = await hears(speaker, listener, room, f"Assalam-o-alaikum, {sender} here")
            _require(heard["encrypted"], "message-not-encrypted", "It came unencrypted.")
            _require(heard["shield"] == "none", "message-shield", str(heard["shield_reason"]))
        self._seen("Officers of two ministries write to each other, encrypted", room)


async def hears(speaker: Officer, listener: Officer, room: str, words: str) -> Message:
    """Say words until the other officer reads them; returns the message as the other sees it.

    News of a device that was signed a moment ago crosses federation after the first message
    may have been sent; what was encrypted before it stays closed to that device.

    Raises:
        StoryError: `message-not-read`.
    """
    for _ in range(_SAY_TIMES):
        said = await speaker.send(room, words)
        with suppress(OfficerError):
            return await listener.wait_message(
                room, event_id=said, contains=words, within_s=_WITHIN_S / _SAY_TIMES
            )
    raise StoryError(
        "message-not-read", f"{words!r} was not read in {room}.", "read the logs of both ministries"
    )


def _require(holds: bool, reason: str, text: str) -> None:
    if not holds:
        raise StoryError(reason, text, "read the logs in the state directory")


def _line(message: Message) -> str:
    return " ".join(str(message["body"]).split())
