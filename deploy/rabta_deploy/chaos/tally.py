"""Counts: what e-Office told against what officers saw, and what it decided against once. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rabta_deploy.chaos.cards import Key, Seen
from rabta_deploy.chaos.ledger import Told


@dataclass(frozen=True, slots=True)
class Asked:
    """A decision that an officer confirmed in chat.

    Attributes:
        file_id: The file.
        movement: The movement that the card showed.
        verb: What was commanded.
        refused: The bridge's words, when it said that it was not done.
    """

    file_id: str
    movement: int
    verb: str
    refused: str | None


@dataclass
class Tally:
    """What came out; every list holds sentences that name the event."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    misordered: list[str] = field(default_factory=list)
    decided_twice: list[str] = field(default_factory=list)
    overtaken: int = 0
    shown: int = 0
    documents: int = 0

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.duplicated or self.misordered or self.decided_twice)

    @property
    def line(self) -> str:
        """The four numbers as the last line gives them."""
        return (
            f"lost={len(self.lost)} duplicated={len(self.duplicated)} "
            f"misordered={len(self.misordered)} decided_twice={len(self.decided_twice)}"
        )

    @property
    def faults(self) -> list[str]:
        """Every sentence, with its kind before it."""
        kinds = ("lost", "duplicated", "misordered", "decided_twice")
        return [f"{kind}: {text}" for kind in kinds for text in getattr(self, kind)]


def count(
    told: Sequence[Told],
    seen: Sequence[Seen],
    *,
    closed_unshown: Collection[tuple[str, str]],
    unreadable: Iterable[str] = (),
) -> Tally:
    """Compare the events with the cards.

    Args:
        told: What must be seen, from e-Office's books.
        seen: Every message of the bridge in the officers' timelines.
        closed_unshown: Event id and post of cards that the bridge says were overtaken before
            they could be shown; believed only where e-Office's books say so too.
        unreadable: Messages that an officer cannot read.
    """
    tally = Tally()
    expected: defaultdict[Key, list[Told]] = defaultdict(list)
    for one in told:
        expected[one.key].append(one)
    found: defaultdict[Key, list[Seen]] = defaultdict(list)
    for message in seen:
        if message.card is not None:
            found[message.card].append(message)
    for key, events in expected.items():
        missing = len(events) - len(found[key])
        for event in events[len(events) - max(missing, 0) :]:
            if event.overtaken and (event.event_id, key.post) in closed_unshown:
                tally.overtaken += 1
            else:
                tally.lost.append(_event(event))
        tally.shown += min(len(events), len(found[key]))
        tally.duplicated += [
            f"{_event(events[0])}: {one.event_id}" for one in found[key][len(events) :]
        ]
    for key in found.keys() - expected.keys():
        tally.duplicated += [f"a card of no event, {one.event_id}: {key}" for one in found[key]]
    tally.lost += [f"unreadable, {text}" for text in unreadable]
    tally.duplicated += _said_twice(seen)
    tally.misordered += _misordered(expected, found)
    _count_documents(expected, found, seen, tally)
    return tally


def _count_documents(
    expected: Mapping[Key, Sequence[Told]],
    found: Mapping[Key, Sequence[Seen]],
    seen: Sequence[Seen],
    tally: Tally,
) -> None:
    """Each document of each card that was shown is a reply to it, once."""
    wanted: Counter[tuple[str | None, str]] = Counter()
    for key, events in expected.items():
        for event, card in zip(events, found[key], strict=False):
            wanted.update((card.event_id, name) for name in event.documents)
    came = Counter((one.reply_to, one.document) for one in seen if one.document is not None)
    tally.documents = sum((came & wanted).values())
    tally.lost += [f"the document {name} of {card}" for card, name in (wanted - came).elements()]
    tally.duplicated += [
        f"the document {name} of {card}" for card, name in (came - wanted).elements()
    ]


def _event(event: Told) -> str:
    return f"event {event.sequence} ({event.kind}, {event.event_id}) for {event.key.post}"


def _said_twice(seen: Sequence[Seen]) -> list[str]:
    """Edits and answers that came more than once."""
    # What a card says may come back, as when a document is there again; not twice in a row.
    last: dict[str, str] = {}
    edits: Counter[tuple[str | None, str]] = Counter()
    for one in seen:
        if one.replaces:
            edits[one.replaces, one.body] += last.get(one.replaces) == one.body
            last[one.replaces] = one.body
    # The same words in answer to the same message.
    answers = Counter(
        (one.reply_to, one.body) for one in seen if one.reply_to and one.document is None
    )
    return [
        f"{what} of {of}: {times} times too often"
        for what, counted in (("the edit", edits), ("the answer", answers - Counter(set(answers))))
        for (of, _), times in counted.items()
        if times
    ]


def _misordered(
    expected: Mapping[Key, Sequence[Told]], found: Mapping[Key, Sequence[Seen]]
) -> list[str]:
    by_file: defaultdict[str, list[tuple[Told, Seen]]] = defaultdict(list)
    for key, events in expected.items():
        for event, message in zip(events, found[key], strict=False):
            by_file[event.file_id].append((event, message))
    wrong = []
    for pairs in by_file.values():
        pairs.sort(key=lambda pair: pair[0].sequence)
        for place, (event, message) in enumerate(pairs):
            for later_event, later in pairs[place + 1 :]:
                if later_event.sequence != event.sequence and _before(later, message):
                    wrong.append(f"{_event(later_event)} stands before {_event(event)}")
    return wrong


def _before(one: Seen, other: Seen) -> bool:
    """In one room its timeline says so; across rooms the homeserver's clock."""
    if one.room_id == other.room_id:
        return one.place < other.place
    return one.ts < other.ts


def decisions(files: Iterable[Mapping[str, Any]], asked: Iterable[Asked], tally: Tally) -> int:
    """Judge e-Office's ledgers of decisions; gives how many disposals they hold.

    Args:
        files: Each file's document, as `GET /api/files/<id>` gives it.
        asked: What officers confirmed.
        tally: Where faults are added.
    """
    ledgers = {file["file_id"]: file for file in files}
    commands = Counter(
        row["command_id"]
        for file in ledgers.values()
        for row in file["decisions"]
        if row["command_id"]
    )
    tally.decided_twice += [f"command {one}: {n} times" for one, n in commands.items() if n > 1]
    total = 0
    for file_id, file in ledgers.items():
        rows = [row for row in file["decisions"] if row["outcome"] != "discuss"]
        total += len(file["decisions"])
        of_movement = Counter(row["movement_no"] for row in rows)
        tally.decided_twice += [
            f"{file_id}, movement {number}: {n} decisions"
            for number, n in of_movement.items()
            if n > 1
        ]
    for one in asked:
        if one.refused is None and not _carried(ledgers[one.file_id], one):
            tally.lost.append(f"the {one.verb} of {one.file_id} at movement {one.movement}")
    return total


def _carried(file: Mapping[str, Any], asked: Asked) -> bool:
    if asked.verb == "forward":
        return any(row["movement_no"] == asked.movement + 1 for row in file["movements"])
    return any(
        row["movement_no"] == asked.movement and row["channel"] == "chat"
        for row in file["decisions"]
    )
