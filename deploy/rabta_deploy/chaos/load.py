"""The work of an office under load: files go round, officers decide some in chat and some not."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random  # noqa: TID251 - the type alone; dice come from `chance`
from typing import Any

from rabta_deploy.chaos.cards import Seen
from rabta_deploy.chaos.chance import chance
from rabta_deploy.chaos.desk import Desk
from rabta_deploy.chaos.house import House
from rabta_deploy.chaos.tally import Asked
from rabta_deploy.eoffice_person import Clerk, EOfficeError
from rabta_deploy.officer import OfficerError

# While everything dies, a word may be long on its way.
_PATIENCE_S = 300.0
_AGAIN_S = 0.3
_AT_ONCE = 24
# What was wanted is there, and not all harm is done: few files go on.
_AT_LEISURE = 2
_IN_CHAT = 0.65
# At most so many documents on a file, and how often one is put there before it is sent.
_DOCUMENTS = 2
_WITH_DOCUMENT = 0.25
_REFUSED = "Not done."
_WAITING = "e-Office does not answer now"
# How often each command is chosen.
_VERBS = {"approve": 5, "return": 2, "seen": 2, "discuss": 1, "forward": 1}


@dataclass
class Goal:
    """What is wanted, and how far it is."""

    events: int
    decisions: int
    files: int
    told: int = 0
    confirmed: int = 0
    asked: list[Asked] = field(default_factory=list)
    file_ids: list[str] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    stuck: list[str] = field(default_factory=list)


class Load:
    """Makes events and decisions until the goal is reached.

    Args:
        house: Where.
        desks: Person id -> the person's desk.
        goal: How much; its counts are kept.
        seed: Of the run.
    """

    def __init__(self, house: House, desks: Mapping[str, Desk], goal: Goal, seed: int) -> None:
        self.house = house
        self.desks = desks
        self.goal = goal
        self.holder_of = {
            post: person for person, posts in house.size.persons.items() for post in posts
        }
        self._seed = seed
        self._clerks: dict[str, Clerk] = {}

    async def run(self, enough: Callable[[], bool]) -> None:
        """Work until events and decisions are there, and `enough` says so.

        Args:
            enough: Whether everything was done to the house that shall be done to it.
        """
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> None:
            async with room:
                await FileRun(self, number, chance(self._seed, f"file {number}")).run()

        async with asyncio.TaskGroup() as all_files:
            for number in range(1, 1 + self.goal.files):
                all_files.create_task(one(number))
        number = self.goal.files
        while (short := self._short()) or not enough():
            async with asyncio.TaskGroup() as further:
                for _ in range(_AT_ONCE // 4 if short else _AT_LEISURE):
                    number += 1
                    further.create_task(one(number))

    def _short(self) -> bool:
        return self.goal.told < self.goal.events or self.goal.confirmed < self.goal.decisions

    async def ask(self, person: str, act: str, *args: Any, **kwargs: Any) -> Any:
        """One act in e-Office, as often as e-Office dies under it.

        Raises:
            EOfficeError: With e-Office's own reason; `done-before` when an attempt whose answer
                was lost had been carried out.
        """
        tried = False
        while True:
            try:
                clerk = self._clerks.get(person)
                if clerk is None:
                    clerk = await asyncio.to_thread(self.house.clerk, person)
                    self._clerks[person] = clerk
                return await asyncio.to_thread(getattr(clerk, act), *args, **kwargs)
            except OSError:
                tried = True
            except EOfficeError as error:
                if error.reason in {"bad-token", "wrong-password"}:
                    self._clerks.pop(person, None)
                elif tried and error.reason != "eoffice-refused":
                    raise EOfficeError("done-before", error.text, error.cure) from error
                elif error.reason != "eoffice-refused":
                    raise
            await asyncio.sleep(_AGAIN_S)


class FileRun:
    """The life of one file.

    Args:
        load: The whole.
        number: Of the file.
        dice: Of the file.
    """

    def __init__(self, load: Load, number: int, dice: Random) -> None:
        self._load = load
        self._goal = load.goal
        self._number = number
        self._dice = dice
        self._posts = sorted(load.holder_of)
        # Each of the first files goes to posts that had none, so that rooms are made all along.
        self._initiator = self._posts[number % len(self._posts)]
        self._file_no = f"F.No.{number}"
        self._acts = 0
        self._documents = 0
        # Who was chased is left in peace for five minutes.
        self._reminded: set[str] = set()
        self._file_id = ""
        self._holder = self._initiator
        self._movement = 0

    async def run(self) -> None:
        """Until the file's share of events is told."""
        grade = self._dice.choices(("RESTRICTED", "UNCLASSIFIED"), (4, 1))[0]
        self._file_id = await self._load.ask(
            self._load.holder_of[self._initiator],
            "open_file",
            self._initiator,
            self._file_no,
            f"Subject of file {self._number}",
            classification=grade,
        )
        self._goal.file_ids.append(self._file_id)
        self._goal.told += 1
        share = max(self._goal.events // self._goal.files, 3)
        told = self._acts
        while self._acts - told < share - 1:
            try:
                await self._round()
            except (TimeoutError, OfficerError, EOfficeError) as error:
                self._goal.stuck.append(f"{self._file_no}, movement {self._movement}: {error!r}")
                return

    async def _round(self) -> None:
        short = self._goal.confirmed < self._goal.decisions
        # When all is told, what goes on goes through the bridge, as fast as the bridge is.
        if self._goal.told >= self._goal.events or (short and self._dice.random() < _IN_CHAT):
            await self._decided_in_chat()
        else:
            await self._dice.choice((self._decided_on_the_page, self._hurried, self._passed_on))()
        await self._refresh()

    async def _decided_in_chat(self) -> None:
        await self._send()
        for _ in range(self._dice.choice((0, 0, 1, 2))):
            await self._remind()
        post, movement = self._holder, self._movement
        desk = self._load.desks[self._load.holder_of[post]]
        card = await desk.card(post, self._file_no, movement, within_s=_PATIENCE_S)
        verb = self._dice.choices(tuple(_VERBS), tuple(_VERBS.values()))[0]
        await self._command(desk, card, verb)
        if verb == "discuss":
            await self._command(desk, card, "approve")

    async def _command(self, desk: Desk, card: Seen, verb: str) -> None:
        words = verb
        if verb == "return":
            words = f"return {self._remarks()}"
        if verb == "forward":
            words = f"forward {self._another()}"
        message = await desk.write(card.room_id, words, reply_to=card.event_id)
        asked = Asked(self._file_id, self._movement, verb, None)
        answer = await desk.reply(message, lambda _: True, within_s=_PATIENCE_S)
        if answer.code is not None:
            yes = await desk.write(card.room_id, f"yes {answer.code}")
            self._goal.confirmed += 1
            self._goal.asked.append(asked)
            place = len(self._goal.asked) - 1
            answer = await desk.reply(yes, lambda _: True, within_s=_PATIENCE_S)
            if answer.body.startswith(_REFUSED):
                self._goal.asked[place] = self._refused(asked, answer)
                return
        else:
            self._goal.confirmed += 1
            self._goal.asked.append(asked)
            place = len(self._goal.asked) - 1
        outcome = await desk.reply(message, _settles, within_s=_PATIENCE_S)
        if outcome.body.startswith(_REFUSED):
            self._goal.asked[place] = self._refused(asked, outcome)
            return
        self._told()

    def _refused(self, asked: Asked, answer: Seen) -> Asked:
        self._goal.confirmed -= 1
        self._goal.refusals[answer.body.rpartition("[")[2].rstrip("]")] += 1
        return replace(asked, refused=answer.body)

    async def _decided_on_the_page(self) -> None:
        await self._send()
        verb = self._dice.choice(("approve", "not-approve", "seen", "return"))
        await self._act(self._holder, verb, remarks=self._remarks())

    async def _hurried(self) -> None:
        """Sent, taken back and sent to somebody else, faster than anybody reads."""
        sender = self._holder
        await self._send()
        await self._act(sender, "pull-back")
        await self._refresh()
        await self._send()

    async def _passed_on(self) -> None:
        await self._send()
        await self._remind()
        await self._send()

    async def _attach(self) -> None:
        """A document of its own on the file; the cards of it carry it from now on."""
        self._documents += 1
        name = f"File {self._number}, document {self._documents}.pdf"
        content = b"%PDF-1.4\n" + self._dice.randbytes(self._dice.randrange(100, 20_000))
        with contextlib.suppress(EOfficeError):  # `done-before`: its answer was lost
            await self._load.ask(
                self._load.holder_of[self._holder],
                "attach",
                self._file_id,
                self._holder,
                name,
                "application/pdf",
                content,
            )

    async def _send(self) -> None:
        if self._documents < _DOCUMENTS and self._dice.random() < _WITH_DOCUMENT:
            await self._attach()
        verb = "put-up" if self._holder == self._initiator else "mark"
        await self._act(
            self._holder, verb, to_post=self._another(), note="For orders.", remarks=self._remarks()
        )
        await self._refresh()

    async def _remind(self) -> None:
        if self._holder == self._initiator or self._holder in self._reminded:
            return
        self._reminded.add(self._holder)
        await self._act(self._initiator, "remind", remarks=self._remarks())

    async def _act(self, post: str, verb: str, **further: Any) -> None:
        try:
            await self._load.ask(
                self._load.holder_of[post],
                "act",
                self._file_id,
                verb,
                post,
                movement_no=self._movement,
                **further,
            )
        except EOfficeError as error:
            # The attempt before was carried out, though its answer never came.
            if error.reason != "done-before":
                raise
        self._told()

    async def _refresh(self) -> None:
        person = self._load.holder_of[self._initiator]
        state = await self._load.ask(person, "file", self._file_id)
        self._holder, self._movement = state["holder"], state["movement_no"]

    def _told(self) -> None:
        self._acts += 1
        self._goal.told += 1

    def _another(self) -> str:
        """A post that neither began the file nor has it, of another officer than has it."""
        mine = self._load.holder_of[self._holder]
        others = [
            post
            for post in self._posts
            if post not in (self._initiator, self._holder) and self._load.holder_of[post] != mine
        ]
        fresh = self._number - 1
        return (
            others[fresh]
            if fresh < len(others) and not self._movement
            else self._dice.choice(others)
        )

    def _remarks(self) -> str:
        """Words that no other act has."""
        return f"Remarks {self._number}/{self._acts}/{self._dice.randrange(10**6)}"


def _settles(answer: Seen) -> bool:
    return answer.code is None and not answer.body.startswith(_WAITING)
