"""Checks an export: whatever was changed, taken out or put in since it was signed is named."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bagit
from signedjson.key import decode_verify_key_bytes
from signedjson.sign import SignatureVerifyException, verify_signed_json
from unpaddedbase64 import decode_base64

from rabta_records import transcript
from rabta_records.exporting import FORMAT, SIGNATURE, SIGNED
from rabta_records.reading import ChainError, read


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found.

    Attributes:
        faults: Sentences; the export is what was signed when there is none.
        server_name: The ministry that it says signed it.
        verify_key: Its public key, `ed25519:ID BASE64`, to compare with the ministry's own.
        about: What `about.json` says; empty when it cannot be read.
    """

    faults: tuple[str, ...]
    server_name: str
    verify_key: str
    about: dict[str, Any]


def check(bag: Path) -> Checked:
    """Check an export as a whole; nothing is written.

    Args:
        bag: The directory.
    """
    faults = list(_bag_faults(bag))
    signature: dict[str, Any] = {}
    about: dict[str, Any] = {}
    try:
        signature = json.loads((bag / SIGNATURE).read_bytes())
        faults += _signature_faults(bag, signature)
        about = json.loads((bag / "data/about.json").read_bytes())
        faults += _record_faults(bag / "data", about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        faults.append(f"it cannot be read whole ({type(error).__name__})")
    return Checked(tuple(faults), *_signer(signature), about)


def _bag_faults(place: Path) -> Iterator[str]:
    try:
        bag = bagit.Bag(str(place))
        away, put_in = bag.compare_manifests_with_fs()
        yield from (f"{name}: it is away" for name in sorted(away))
        yield from (f"{name}: it was put in" for name in sorted(put_in))
        # Named one by one: the library stops at a sum that differs.
        for name, digests in sorted(bag.payload_entries().items()):
            if name not in away and _sha256(place / name) != digests["sha256"]:
                yield f"{name}: it was changed"
        bag.validate()
    except bagit.BagValidationError as error:
        for detail in error.details or [error]:
            yield str(detail)
    except (bagit.BagError, OSError, ValueError, KeyError) as error:
        yield f"it is no bag: {error}"


def _sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _signature_faults(bag: Path, signature: dict[str, Any]) -> Iterator[str]:
    server_name = str(signature["server_name"])
    (key_id,) = signature["signatures"][server_name]
    try:
        key = decode_verify_key_bytes(key_id, decode_base64(signature["verify_key"]))
        verify_signed_json(signature, server_name, key)
    except SignatureVerifyException:
        yield f"{SIGNATURE}: the signature does not fit"
    if signature["format"] != FORMAT or set(signature["sha256"]) != set(SIGNED):
        yield f"{SIGNATURE}: it signs something else"
    for name in SIGNED:
        if signature["sha256"].get(name) != _sha256(bag / name):
            yield f"{name}: it is not what was signed"


def _record_faults(data: Path, about: dict[str, Any]) -> Iterator[str]:
    try:
        with (data / "record.jsonl").open("rb") as lines:
            record = read(lines)
    except ChainError as error:
        yield f"record.jsonl: {error}"
        return
    if about["chain"] != {"seq": record.head.seq, "hash": record.head.hash}:
        yield "record.jsonl: it does not end where about.json says"
    # A transcript says what the record says, or somebody wrote it.
    for name, shown in (
        ("transcript.html", transcript.html(record, about)),
        ("transcript.txt", transcript.plain(record, about)),
    ):
        if (data / name).read_bytes() != shown.encode():
            yield f"{name}: it does not say what the record says"


def _signer(signature: dict[str, Any]) -> tuple[str, str]:
    try:
        server_name = str(signature["server_name"])
        (key_id,) = signature["signatures"][server_name]
        return server_name, f"{key_id} {signature['verify_key']}"
    except (KeyError, TypeError, ValueError, AttributeError):
        return "", ""
