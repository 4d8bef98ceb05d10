"""`rabta policy keygen | sign | verify`: keys and seals. A private key is never shown."""

import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import click
import yaml
from signedjson.key import (
    encode_verify_key_base64,
    generate_signing_key,
    get_verify_key,
    read_signing_keys,
    write_signing_keys,
)

from rabta_deploy.cli.policy.desk import (
    fail,
    file_argument,
    json_option,
    read_authority,
    read_bytes,
    read_text,
    tell_json,
    utc_now,
)
from rabta_deploy.secretfile import write_secret
from rabta_policy import Fault, PolicyError, Standing, load_document, open_signed, sign_document
from rabta_policy.moments import write_moment

_OPEN_TO_OTHERS = 0o077


@click.command()
@click.argument("version")
@click.argument("key_file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--authority",
    "authority_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Add the public key to this authority.yaml, made if it is not there.",
)
@click.option("--threshold", type=click.IntRange(min=1), help="Set its threshold.")
def keygen(
    version: str, key_file: Path, authority_file: Path | None, threshold: int | None
) -> None:
    """Make a signing key named VERSION in KEY_FILE (mode 0600), and show its public half.

    Each key holder runs it on a machine of their own; the private key never leaves that file.
    """
    if not version.replace("_", "").isalnum() or not version.isascii():
        fail(
            [Fault("", f"{version!r} is no name for a key.", "Use letters and digits.")], "VERSION"
        )
    if key_file.exists():
        fail(
            [Fault("", "exists already; no key is overwritten.", "Choose another.")], str(key_file)
        )
    pinned = _pinned(authority_file)
    key_id = f"ed25519:{version}"
    if key_id in pinned["keys"]:
        fail([Fault("keys", f"has {key_id} already.", "Choose another.")], str(authority_file))
    if (threshold or 0) > len(pinned["keys"]) + 1:
        cure = "Set the threshold with the key that makes up the number."
        fail([Fault("--threshold", "is above the number of keys.", cure)], "keygen")
    key = generate_signing_key(version)
    text = StringIO()
    write_signing_keys(text, [key])
    write_secret(key_file, text.getvalue())
    public = encode_verify_key_base64(get_verify_key(key))
    click.echo(f"{key_id} {public}")
    if authority_file is not None:
        pinned["keys"][key_id] = public
        pinned["threshold"] = threshold or pinned["threshold"] or 1
        fresh = authority_file.with_name(f".{authority_file.name}.new")
        fresh.write_text(yaml.safe_dump(pinned, sort_keys=False), encoding="utf-8")
        fresh.replace(authority_file)
        click.echo(f"{authority_file}: {pinned['threshold']} of {len(pinned['keys'])} keys sign.")


def _pinned(authority_file: Path | None) -> dict[str, Any]:
    if authority_file is None or not authority_file.exists():
        return {"threshold": 0, "keys": {}}
    authority = read_authority(authority_file)
    return authority.model_dump(exclude_none=True)


@click.command()
@file_argument("policy_file")
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Your signing key, a file of mode 0600.",
)
@click.option(
    "--out",
    "out_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the signed file goes. [default: the file itself if it is signed already]",
)
def sign(policy_file: Path, key_file: Path, out_file: Path | None) -> None:
    """Add your signature to POLICY_FILE: a YAML draft, or a file that another has signed.

    A policy with faults is never signed.
    """
    key = _signing_key(key_file)
    try:
        document = load_document(read_text(policy_file))
        signed_already = "signatures" in document
        if out_file is None and not signed_already:
            fault = Fault("", "is a draft; it is not overwritten.", "Give --out policy.json.")
            fail([fault], str(policy_file))
        raw = sign_document(document, key)
    except PolicyError as error:
        fail(error.faults, str(policy_file), error.reason)
    target = out_file or policy_file
    fresh = target.with_name(f".{target.name}.new")
    fresh.write_bytes(raw)
    fresh.replace(target)
    signers = sorted(json.loads(raw)["signatures"][document["network"]])
    click.echo(f"{target}: serial {document['serial']}, signed by {', '.join(signers)}.")


def _signing_key(key_file: Path) -> Any:
    text = read_text(key_file)
    if key_file.stat().st_mode & _OPEN_TO_OTHERS:
        fail([Fault("", "can be read by others.", "Run chmod 600 on it.")], str(key_file))
    try:
        (key,) = read_signing_keys(text.splitlines())
    except (ValueError, TypeError):
        cure = "Give the file that keygen made."
        fail([Fault("", "holds no single signing key.", cure)], str(key_file))
    return key


@click.command()
@file_argument("policy_file")
@click.option(
    "--authority",
    "authority_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="authority.yaml: threshold and keys.",
)
@click.option("--last-serial", type=int, default=0, help="Refuse a serial below this one.")
@json_option
def verify(policy_file: Path, authority_file: Path, last_serial: int, *, as_json: bool) -> None:
    """Say whether a server with this authority would put POLICY_FILE in force.

    Ends with 0 if it would, with 1 if the policy is refused or has expired.
    """
    authority = read_authority(authority_file)
    raw = read_bytes(policy_file)
    try:
        policy = open_signed(raw, authority, last_serial=last_serial)
    except PolicyError as error:
        if as_json:
            tell_json(
                {"valid": False, "reason": error.reason, "faults": list(map(str, error.faults))}
            )
        for fault in error.faults if not as_json else ():
            click.echo(f"{policy_file}: {fault}", err=True)
        if not as_json:
            click.echo(f"{policy_file}: refused [{error.reason}]", err=True)
        sys.exit(1)
    standing = policy.standing(utc_now())
    answer = {
        "valid": True,
        "network": policy.network,
        "serial": policy.serial,
        "standing": str(standing),
        "not_after": write_moment(policy.not_after),
        "digest": policy.digest,
    }
    if as_json:
        tell_json(answer)
    else:
        click.echo(
            f"{policy_file}: network {policy.network}, serial {policy.serial}, {standing}, "
            f"until {answer['not_after']}. The signatures hold."
        )
    sys.exit(1 if standing is Standing.EXPIRED else 0)
