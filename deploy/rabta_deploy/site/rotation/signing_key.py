"""The homeserver's signing key: the policy names the new one before anything signs with it."""

from datetime import datetime
from pathlib import Path

import yaml

from rabta_deploy.fault import YardError
from rabta_deploy.homeserver import VerifyKey, new_signing_key
from rabta_deploy.secretfile import keep_secret, replace_secret
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.parts import workloads
from rabta_deploy.site.reading import load, parse
from rabta_deploy.site.rendering import config_files, write
from rabta_deploy.site.rotation import AtWork
from rabta_deploy.site.secrets_of_site import NEXT_KEY
from rabta_policy import Policy


def rotate(site_file: Path, at: AtWork, policy: Policy, *, dry: bool = False) -> list[str]:
    """First call: make the next key. Call again when the policy pins it: switch to it.

    Returns:
        What was done and what comes next.

    Raises:
        YardError: `key-not-pinned`, `part-not-ready`, those of the site file.
    """
    site, layout = load(site_file), at.layout
    current, coming = layout.secret("signing.key"), layout.secret(NEXT_KEY)
    if not coming.exists():
        if dry:
            return [f"Would make {coming} and tell its public half."]
        return ["Made. Nothing signs with it yet.", *_ask(keep_secret(coming, new_signing_key))]
    text = coming.read_text(encoding="utf-8")
    key_id, key = VerifyKey.of(text)
    server = policy.server(site.server_name)
    if server is not None and server.verify_keys.get(key_id) != key:
        raise YardError(
            "key-not-pinned",
            f"Policy {policy.serial} does not pin {key_id}; who signs with it is believed by none.",
            "; ".join(_ask(text)),
        )
    if dry:
        return [f"Would sign with {key_id} from now on, and restart the homeserver's processes."]
    old_id, old = VerifyKey.of(current.read_text(encoding="utf-8"))
    if old_id != key_id:
        # Repeatable: the old key is noted first, and the next one stays until the end.
        note_old(site_file, old_id, old, at.now)
        replace_secret(current, text)
    site = load(site_file)
    parts = workloads(site, layout)
    write(config_files(parts), layout.config)
    for part in parts:
        if part.door:
            at.report(f"restarting {part.name}")
            at.control.restart(part)
    coming.unlink()
    return [
        f"The homeserver signs with {key_id}; what the old key signed is still believed.",
        "Then, in a day: the network authority takes the old key out of the policy.",
    ]


def _ask(text: str) -> list[str]:
    key_id, key = VerifyKey.of(text)
    return [
        f'Next: the network authority pins it beside the present one: "{key_id}": {key}',
        "When every member has that policy: rabta site rotate signing-key, once more",
    ]


def finish(site_file: Path, layout: Layout, policy: Policy) -> list[str]:
    """Tell whether the overlap has ended; it is the network authority that ends it.

    Raises:
        YardError: `rotation-interrupted`, `old-key-pinned`.
    """
    site = load(site_file)
    if layout.secret(NEXT_KEY).exists():
        raise YardError(
            "rotation-interrupted", "The homeserver has not switched yet.", "run it again first"
        )
    server = policy.server(site.server_name)
    pinned = set(server.verify_keys if server else ()) & set(site.old_signing_keys)
    if pinned:
        raise YardError(
            "old-key-pinned",
            f"Policy {policy.serial} still pins {', '.join(sorted(pinned))}.",
            "ask the network authority for a policy without it",
        )
    return ["Nothing new that an old key signs is believed. Old events stay verifiable."]


def note_old(site_file: Path, key_id: str, key: str, now: datetime) -> None:
    """Name an old key in the site file; all else in it, comments too, stays as it was."""
    text = site_file.read_text(encoding="utf-8")
    noted = load(site_file).old_signing_keys
    if key_id in noted:
        return
    said = {name: one.model_dump() for name, one in noted.items()}
    said[key_id] = {"key": key, "expired_ts": int(now.timestamp() * 1000)}
    block = yaml.safe_dump({"old_signing_keys": said}, sort_keys=False)
    fresh = site_file.with_name(f".{site_file.name}.new")
    fresh.write_text(_without(text, "old_signing_keys") + block, encoding="utf-8")
    fresh.chmod(site_file.stat().st_mode & 0o777)
    parse(fresh.read_text(encoding="utf-8"))
    fresh.replace(site_file)


def _without(text: str, key: str) -> str:
    """A YAML mapping's text without one of its block-style keys."""
    kept, inside = [], False
    for line in text.splitlines(keepends=True):
        inside = line.startswith(f"{key}:") or (inside and line[:1] in {" ", "\t", "\n"})
        if not inside:
            kept.append(line)
    whole = "".join(kept)
    return whole if whole.endswith("\n") else f"{whole}\n"
