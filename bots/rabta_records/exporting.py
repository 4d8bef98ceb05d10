"""Makes the export of a room for the National Archives: a signed bag (RFC 8493).

`data/` holds the record's own lines, the events as the homeserver holds them where it was asked,
the attachments in clear, a transcript to read, and `about.json`. A signature over the manifest and
`bag-info.txt` stands beside.
"""

import hashlib
import json
import re
import shutil
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bagit
from signedjson.key import get_verify_key
from signedjson.sign import sign_json
from signedjson.types import SigningKey
from unpaddedbase64 import encode_base64

from rabta_bots.matrix import EncryptedFile, MatrixError
from rabta_bots.matrix.media import decrypt
from rabta_policy.label import ROOM_CLASS
from rabta_policy.record import ROOM_RECORD
from rabta_records import transcript
from rabta_records.faults import RecordsError
from rabta_records.reading import ChainError, RecordOfRoom, read
from rabta_records.vault import Vault

FORMAT = "rabta-record-1"
SIGNATURE = "signature.json"
_NAME_LETTERS = 80


class ExportError(RecordsError):
    """The export cannot be made: `out-exists`, `record-damaged`."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is exported, by whom and why.

    Attributes:
        room_id: The room.
        by: The officer.
        order: Number of the order.
        at: When.
        server_name: Of the ministry, whose key signs.
        archiver: User id of the archiver; its own notices are no part of the record.
    """

    room_id: str
    by: str
    order: str
    at: datetime
    server_name: str
    archiver: str


def export(
    vault: Vault,
    identities: Sequence[str],
    asked: Asked,
    out: Path,
    *,
    key: SigningKey,
    events: Sequence[Mapping[str, Any]] | None,
) -> Mapping[str, Any]:
    """Write the export whole or not at all.

    Args:
        vault: The archiver's records.
        identities: age secret keys of the records office.
        asked: What, by whom and why.
        out: A directory that is not there yet.
        key: Signs it, Ed25519.
        events: The events that the homeserver holds, oldest first, as it signed them; None when
            it was not asked.

    Returns:
        What `about.json` says.

    Raises:
        ExportError: `out-exists`, `record-damaged`.
        VaultError: As `Vault.lines`.
    """
    out = out.absolute()
    if out.exists():
        raise ExportError("out-exists", f"{out} is there already.")
    lines = list(vault.lines(asked.room_id, identities))
    try:
        record = read(lines)
    except ChainError as error:
        raise ExportError("record-damaged", f"The record is not whole: {error}.") from error
    if record.head != vault.standing(asked.room_id).head:
        raise ExportError("record-damaged", "The record's last lines are away.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".export-", dir=out.parent) as name:
        bag = Path(name) / "bag"
        (bag / "files").mkdir(parents=True, mode=0o700)
        files = _files(vault, asked.room_id, record, bag / "files")
        about = _about(record, asked, files, events)
        texts = {
            "about.json": json.dumps(about, indent=1, ensure_ascii=True) + "\n",
            "transcript.html": transcript.html(record, about),
            "transcript.txt": transcript.plain(record, about),
        }
        if events is not None:
            told = [json.dumps(one, ensure_ascii=True, sort_keys=True) for one in events]
            texts["events.jsonl"] = "".join(f"{line}\n" for line in told)
        for path, text in texts.items():
            (bag / path).write_text(text, encoding="utf-8")
        (bag / "record.jsonl").write_bytes(b"".join(lines))
        if not files:
            (bag / "files").rmdir()
        _seal(bag, asked, key)
        shutil.move(bag, out)
    return about


def _files(vault: Vault, room_id: str, record: RecordOfRoom, into: Path) -> list[dict[str, Any]]:
    found = []
    for said in record.said:
        if said.file is None:
            continue
        if "missing" in said.file:
            found.append({"event_id": said.event_id, "missing": said.file["missing"]})
            continue
        name = f"{said.seq:06d}-{_safe(str(said.content.get('body', '')))}"
        kept = vault.files(room_id) / str(said.file["sha256"])
        try:
            file = EncryptedFile.from_content(said.content["file"])
            sha256 = decrypt(file, kept, into / name)
        except (MatrixError, OSError) as error:
            raise ExportError(
                "record-damaged", f"The file of {said.event_id} is away or changed."
            ) from error
        found.append(
            {
                "event_id": said.event_id,
                "path": f"files/{name}",
                "name": said.content.get("body"),
                "sha256": sha256,
                "sha256_of_ciphertext": said.file["sha256"],
            }
        )
    return found


def _about(
    record: RecordOfRoom,
    asked: Asked,
    files: list[dict[str, Any]],
    events: Sequence[Mapping[str, Any]] | None,
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "room_id": asked.room_id,
        "name": str(record.content("m.room.name").get("name") or asked.room_id),
        "class": str(record.content(ROOM_CLASS).get("class", "none")),
        "category": str(record.content(ROOM_RECORD).get("category", "none")),
        "server_name": asked.server_name,
        "by": asked.by,
        "order": asked.order,
        "at": f"{asked.at:%FT%TZ}",
        "chain": {"seq": record.head.seq, "hash": record.head.hash},
        "events": len(record.said),
        "files": files,
        "not_recorded": None if events is None else _not_recorded(record, asked, events),
    }


def _not_recorded(
    record: RecordOfRoom, asked: Asked, events: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Ids of what the homeserver holds from the first recorded event on, and the record has not."""
    kept = {said.event_id for said in record.said}
    found: list[str] = []
    begun = False
    for event in events:
        begun = begun or event.get("event_id") in kept
        spoken = "state_key" not in event and event.get("sender") != asked.archiver
        if begun and spoken and event.get("event_id") not in kept:
            found.append(str(event.get("event_id")))
    return found


def _seal(bag: Path, asked: Asked, key: SigningKey) -> None:
    made = bagit.make_bag(
        str(bag),
        bag_info={
            "Source-Organization": asked.server_name,
            "External-Identifier": asked.room_id,
            "Internal-Sender-Identifier": asked.order,
            "Contact-Name": asked.by,
            "Bagging-Date": f"{asked.at:%F}",
        },
        checksums=["sha256"],
    )
    public = get_verify_key(key)
    signed = sign_json(
        {
            "format": FORMAT,
            "server_name": asked.server_name,
            "verify_key": encode_base64(public.encode()),
            "sha256": {name: _sha256(bag / name) for name in SIGNED},
        },
        asked.server_name,
        key,
    )
    (bag / SIGNATURE).write_text(json.dumps(signed, indent=1) + "\n", encoding="utf-8")
    made.save(manifests=False)


SIGNED = ("manifest-sha256.txt", "bag-info.txt")
"""The files that the signature covers; the manifest holds the hash of every other."""


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _safe(name: str) -> str:
    """A file name of letters, digits, dots and dashes; Urdu letters stay."""
    clean = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name)).strip("._")
    stem, dot, ending = clean.rpartition(".")
    if not dot:
        return clean[:_NAME_LETTERS] or "file"
    return f"{stem[: _NAME_LETTERS - 12]}.{ending[:11]}"
