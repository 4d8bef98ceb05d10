"""The steps of the pipeline at which a part is killed: every place between two lasting states.

A step names a real function. Either it writes in a transaction, and the kill comes just before
that transaction's COMMIT or just after it; or it speaks to another part, and the kill comes
before its first line or after its last. tests/deploy/test_chaos.py holds the list to the code.
"""

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """A process that is killed."""

    BRIDGE = "bridge"
    EOFFICE = "eoffice"
    HOMESERVER = "homeserver"
    DATABASE = "database"


class Edge(StrEnum):
    """On which side of a step the kill comes."""

    BEFORE_COMMIT = "before-commit"
    AFTER_COMMIT = "after-commit"
    ENTRY = "entry"
    RETURN = "return"


COMMIT = (Edge.BEFORE_COMMIT, Edge.AFTER_COMMIT)
CALL = (Edge.ENTRY, Edge.RETURN)


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        name: Kebab-case, as docs and output call it.
        part: The process in which it runs.
        module: Where its function is.
        function: The function, or `Class.method`.
        edges: Where it can be killed.
        often: How many times it runs for one file, roughly; a rare one is killed the first time.
        first_start: Whether it runs on the first start alone.
        early: Whether it comes while posts are new to the bridge, and hardly ever later.
    """

    name: str
    part: Part
    module: str
    function: str
    edges: tuple[Edge, ...]
    often: int = 1
    first_start: bool = False
    early: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """One side of one step."""

    step: Step
    edge: Edge

    def __str__(self) -> str:
        return f"{self.step.name}/{self.edge}"


def _bridge(name: str, place: str, edges: tuple[Edge, ...], often: int = 1, **when: bool) -> Step:
    module, _, function = place.partition(":")
    return Step(name, Part.BRIDGE, f"rabta_bots.{module}", function, edges, often, **when)


STEPS = (
    # The first start: tables, account, identity.
    _bridge("store-made", "store.opening:_bring_to_version", COMMIT, first_start=True),
    _bridge("epoch-raised", "store.fence:raise_epoch", CALL, first_start=True),
    _bridge("logged-in", "matrix.login:_with_password", CALL, first_start=True),
    _bridge("keys-uploaded", "matrix.upkeep:Upkeep.publish", CALL, first_start=True),
    _bridge("identity-made", "matrix.identity:OwnIdentity._save", CALL, first_start=True),
    _bridge("secrets-stored", "matrix.identity:OwnIdentity._store_secrets", CALL, first_start=True),
    _bridge("identity-shown", "matrix.identity:OwnIdentity._upload", CALL, first_start=True),
    _bridge("device-signed", "matrix.identity:OwnIdentity._sign_device", CALL, first_start=True),
    # Events come in.
    _bridge("event-stored", "store.events:store_event", COMMIT, 10),
    _bridge("delivery-answered", "intake.door:EventDoor.take", CALL, 10),
    _bridge("feed-page-kept", "intake.accepting:accept_feed", COMMIT),
    _bridge("event-planned", "store.events:set_event_state", COMMIT, 10),
    _bridge("card-made", "store.cards:make_card", COMMIT, 8),
    # A room is made, and its holder let in.
    _bridge("room-made", "matrix.rooms:Rooms.create", CALL, early=True),
    _bridge("room-learned", "matrix.rooms:Rooms._learn", CALL, early=True),
    _bridge("room-remembered", "store.rooms:remember_room", COMMIT, early=True),
    # A message is fixed, encrypted and sent.
    _bridge("content-fixed", "store.outbox:fix_content", COMMIT, 8),
    _bridge("room-key-made", "matrix.sharing:Sharing._rotate", COMMIT, early=True),
    _bridge("one-time-key-claimed", "matrix.sharing:Sharing._claim", CALL),
    _bridge("key-share-queued", "matrix.letters:queue", COMMIT),
    _bridge("key-share-sent", "matrix.letters:Letters._dequeue", CALL),
    _bridge("ciphertext-stored", "matrix.sending:Sending._ciphertext", COMMIT, 10),
    _bridge("message-put", "matrix.sending:Sending._put", CALL, 10),
    _bridge("message-noted", "matrix.sending:note_sent", COMMIT, 10),
    _bridge("message-marked-sent", "store.outbox:mark_sent", COMMIT, 10),
    _bridge("message-tried-again", "store.outbox:try_again", COMMIT),
    # Documents follow their card.
    _bridge("document-fetched", "documents.fetching:EOfficeDocuments.fetch", CALL),
    _bridge("document-uploaded", "matrix.media:Media.upload", CALL),
    # Officers write.
    _bridge("sync-taken-in", "matrix.receiving:Receiving._take_in", COMMIT, 4),
    _bridge("one-time-keys-made", "matrix.upkeep:Upkeep._prepare", CALL, early=True),
    _bridge("message-processed", "commands.processing:Processing.process", COMMIT, 3),
    _bridge("command-asked", "store.commands:add_command", COMMIT, 2),
    _bridge("command-queued", "store.commands:queue_command", COMMIT, 2),
    _bridge("command-carried", "commands.dispatching:EOfficeDesk.carry", CALL, 2),
    _bridge("command-settled", "store.commands:end_command", COMMIT, 2),
    _bridge("command-tried-again", "store.commands:retry_command", COMMIT),
    _bridge("card-closed", "store.cards:close_card", COMMIT, 4),
    # e-Office's side of the contract.
    Step("act-told", Part.EOFFICE, "rabta_eoffice.outbox", "tell", COMMIT, 10),
    Step("delivery-marked", Part.EOFFICE, "rabta_eoffice.outbox", "mark", COMMIT, 10),
    Step("command-answered", Part.EOFFICE, "rabta_eoffice.desk", "Desk.command", CALL, 2),
)

MOMENTS = tuple(Moment(step, edge) for step in STEPS for edge in step.edges)
