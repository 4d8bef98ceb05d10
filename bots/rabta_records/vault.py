"""Where the records of rooms lie: chained by hashes, and encrypted for the records office alone.

A room's directory holds `head.json` (where its chain stands), `SEQ.age` for each batch of lines
that began with that number, and `files/`: attachments as their sender encrypted them, by the
SHA-256 of their ciphertext, whose keys stand in the lines. Nothing is ever in clear here but room
ids, event ids of the last batch, hashes and sizes.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyrage

from rabta_audit import Head
from rabta_audit.chain import link
from rabta_records.faults import RecordsError

_HEAD = "head.json"


class VaultError(RecordsError):
    """The records cannot be read: `identity-refused`, `record-damaged`, `room-not-recorded`."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the record of a room stands.

    Attributes:
        room_id: The room.
        head: Of its chain.
        told: Id of the event by which the room was told that it is recorded, None while it is
            not recorded.
        since_ms: When the archiver came in before that, by its homeserver's clock.
        last: Ids of the events of the last batch: those that may come again after a crash.
        state: SHA-256 of the state that was recorded last.
    """

    room_id: str
    head: Head = field(default_factory=Head)
    told: str | None = None
    since_ms: int = 0
    last: tuple[str, ...] = ()
    state: str = ""


@dataclass(frozen=True, slots=True)
class Vault:
    """The records of all rooms of an archiver.

    Attributes:
        directory: Holds a directory for each room.
        recipients: age public keys, for writing.
    """

    directory: Path
    recipients: Sequence[str] = field(default=())

    def place(self, room_id: str) -> Path:
        """The directory of a room; ids of rooms are no file names."""
        return self.directory / hashlib.sha256(room_id.encode()).hexdigest()[:32]

    def files(self, room_id: str) -> Path:
        """Where a room's attachments lie."""
        place = self.place(room_id) / "files"
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        return place

    def rooms(self) -> list[Standing]:
        """Every room that there is a record of."""
        return [_standing(file) for file in sorted(self.directory.glob(f"*/{_HEAD}"))]

    def standing(self, room_id: str) -> Standing:
        """Where the record of a room stands."""
        file = self.place(room_id) / _HEAD
        return _standing(file) if file.exists() else Standing(room_id)

    def note(self, standing: Standing) -> None:
        """Keep where a record stands."""
        document = {
            "room_id": standing.room_id,
            "seq": standing.head.seq,
            "hash": standing.head.hash,
            "told": standing.told,
            "since_ms": standing.since_ms,
            "last": list(standing.last),
            "state": standing.state,
        }
        _write(self.place(standing.room_id) / _HEAD, json.dumps(document, indent=1).encode())

    def append(self, standing: Standing, lines: Sequence[Mapping[str, Any]]) -> Standing:
        """Keep a batch of lines; a batch that was cut short is written over by its repeat.

        Args:
            standing: Where the record stands; what else it says is kept with the new head.
            lines: Fields of canonical JSON.

        Returns:
            Where the record stands now.
        """
        head, text = standing.head, b""
        for fields in lines:
            line, head = link(head, fields)
            text += line
        keys = [pyrage.x25519.Recipient.from_str(key) for key in self.recipients]
        batch = self.place(standing.room_id) / f"{standing.head.seq + 1:012d}.age"
        _write(batch, pyrage.encrypt(text, keys))
        after = replace(standing, head=head)
        self.note(after)
        return after

    def lines(self, room_id: str, identities: Sequence[str]) -> Iterator[bytes]:
        """Every line of a room's record, in order, for who has a key.

        Raises:
            VaultError: All of its reasons.
        """
        place = self.place(room_id)
        if not (place / _HEAD).exists():
            raise VaultError("room-not-recorded", f"There is no record of {room_id}.")
        try:
            keys = [pyrage.x25519.Identity.from_str(key) for key in identities]
        except pyrage.IdentityError as error:
            raise VaultError("identity-refused", "The key file holds no age secret key.") from error
        for batch in sorted(place.glob("*.age")):
            try:
                text = pyrage.decrypt(batch.read_bytes(), keys)
            except pyrage.DecryptError as error:
                wrong = "No matching keys" in str(error)
                raise VaultError(
                    "identity-refused" if wrong else "record-damaged", f"{batch}: {error}."
                ) from error
            yield from text.splitlines(keepends=True)


def _standing(file: Path) -> Standing:
    try:
        told = json.loads(file.read_bytes())
        return Standing(
            room_id=str(told["room_id"]),
            head=Head(int(told["seq"]), str(told["hash"])),
            told=told["told"],
            since_ms=int(told["since_ms"]),
            last=tuple(told["last"]),
            state=str(told["state"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VaultError("record-damaged", f"{file} cannot be read.") from error


def _write(file: Path, data: bytes) -> None:
    """Whole or not at all, and on the disk before anything rests on it."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as sink:
        sink.write(data)
        sink.flush()
        os.fsync(sink.fileno())
    fresh.replace(file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
