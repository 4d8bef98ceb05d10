"""Judges what was gathered. Pure; each check gives its findings and decides nothing else."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import yaml

from rabta_deploy.site.preflight import residency
from rabta_deploy.site.preflight.facts import Facts
from rabta_deploy.site.preflight.finding import Finding, Severity
from rabta_deploy.site.sizes import plan_of
from rabta_deploy.worker_routes import routes
from rabta_policy import Standing

_RENEW_WITHIN = timedelta(days=30)
_FREE_MIB = 5 * 1024
_HOMESERVER = "synapse/homeserver.yaml"
_ROUTER = "router/nginx.conf"
_DOOR = "rabta_synapse.Door"


def findings(facts: Facts) -> list[Finding]:
    """Everything found, the worst first."""
    order = list(Severity)
    found = [finding for check in _CHECKS for finding in check(facts)]
    return sorted(found, key=lambda one: (order.index(one.severity), one.code, one.place))


def _policy(facts: Facts) -> Iterator[Finding]:
    if facts.policy is None:
        yield Finding(
            "policy-not-believed",
            Severity.ERROR,
            "policy.policy_file",
            f"the signed policy is not believed: {facts.policy_reason}",
            "see docs/reference/reason-codes.md; the network authority issues a good one",
        )
    elif facts.standing is not Standing.IN_FORCE:
        yield Finding(
            "policy-out-of-force",
            Severity.ERROR if facts.standing is Standing.EXPIRED else Severity.WARNING,
            "policy.policy_file",
            f"policy {facts.policy.serial} is in {facts.standing}",
            "ask the network authority for a fresh one",
        )


def _pinned(facts: Facts) -> Iterator[Finding]:
    """What the policy says of us must be what we are."""
    if facts.policy is None or facts.site.federation is None:
        return
    server = facts.policy.server(facts.site.server_name)
    if server is None:
        yield Finding(
            "server-not-pinned",
            Severity.ERROR,
            "server_name",
            "the policy names no server of this name, so nothing federates with it",
            "give the network authority the name, address and signing key",
        )
        return
    if facts.verify_key is not None:
        key_id, key = facts.verify_key
        if server.verify_keys.get(key_id) != key:
            yield Finding(
                "pinned-key-differs",
                Severity.ERROR,
                "signing.key",
                f"the policy pins another signing key than {key_id}, so nobody believes us",
                "docs/how-to/rotate-a-server-key.md, or put the old key back",
            )
    if (
        facts.next_key is not None
        and server.verify_keys.get(facts.next_key[0]) != facts.next_key[1]
    ):
        yield Finding(
            "next-key-not-pinned",
            Severity.WARNING,
            "signing.key.next",
            f"the policy does not pin {facts.next_key[0]} yet, so the homeserver cannot switch",
            f'have the network authority pin "{facts.next_key[0]}": {facts.next_key[1]}',
        )
    if server.address is not None and server.address.port != facts.site.federation.port:
        yield Finding(
            "pinned-port-differs",
            Severity.ERROR,
            "federation.port",
            f"the policy sends others to port {server.address.port}",
            "listen there, or have the policy changed",
        )


def _registration(facts: Facts) -> Iterator[Finding]:
    said = _homeserver(facts)
    wanted = {
        "enable_registration": False,
        "allow_guest_access": False,
        "allow_public_rooms_over_federation": False,
        "allow_device_name_lookup_over_federation": False,
        "enable_authenticated_media": True,
        "encryption_enabled_by_default_for_room_type": "all",
    }
    for key, value in wanted.items():
        if said.get(key) != value:
            yield Finding(
                "open-registration" if key == "enable_registration" else "weakened-setting",
                Severity.ERROR,
                _HOMESERVER,
                f"{key} is {said.get(key)!r}, not {value!r}",
                "render the site again; what differs by need belongs into site.yaml",
            )


def _ciphers(facts: Facts) -> Iterator[Finding]:
    text = facts.texts.get(_ROUTER, "")
    protocols = re.findall(r"ssl_protocols ([^;]+);", text)
    weak = {one for line in protocols for one in line.split()} - {"TLSv1.2", "TLSv1.3"}
    ciphers = re.findall(r"ssl_ciphers ([^;]+);", text)
    plain = [one for line in ciphers for one in line.split(":") if not one.startswith("ECDHE+")]
    if weak or plain or not protocols:
        yield Finding(
            "weak-ciphers",
            Severity.ERROR,
            _ROUTER,
            f"TLS is weakened: {', '.join(sorted({*weak, *plain})) or 'no protocols are named'}",
            "render the site again",
        )


def _certificates(facts: Facts) -> Iterator[Finding]:
    site = facts.site
    wanted = {str(site.client.certificate_file): site.client.name}
    if site.federation is not None:
        wanted[str(site.federation.certificate_file)] = site.server_name
    if site.calls is not None:
        wanted[str(site.calls.certificate_file)] = site.calls.name
    for file, name in wanted.items():
        found = facts.certificates.get(file)
        if found is None:
            yield _of_certificate("certificate-unreadable", file, "it is not there or no PEM")
            continue
        if found.not_after <= facts.now:
            yield _of_certificate("certificate-expired", file, f"it ended {found.not_after:%F}")
        elif found.not_after <= facts.now + _RENEW_WITHIN:
            yield Finding(
                "certificate-ends-soon",
                Severity.WARNING,
                file,
                f"it ends {found.not_after:%F}",
                "renew it; the parts read it again by themselves",
            )
        if name not in found.names:
            yield _of_certificate("certificate-of-another", file, f"it is not for {name}")
        if found.weak:
            yield _of_certificate("certificate-weak", file, f"it has {found.weak}")


def _of_certificate(code: str, file: str, says: str) -> Finding:
    return Finding(code, Severity.ERROR, file, says, "bring another certificate")


def _modes(facts: Facts) -> Iterator[Finding]:
    for file, mode in facts.modes.items():
        if mode is None:
            yield Finding(
                "secret-missing",
                Severity.ERROR,
                file,
                "it is not there",
                "`rabta site secrets` makes the site's own; others are brought",
            )
        elif mode & 0o077:
            yield Finding(
                "secret-open",
                Severity.ERROR,
                file,
                f"others may read it (mode {mode:04o})",
                f"chmod 600 {file}, and make a new one if somebody did",
            )
    for name in facts.weak_secrets:
        yield Finding(
            "secret-weak",
            Severity.ERROR,
            name,
            "it is short or well known",
            "remove the file; `rabta site secrets` makes a good one",
        )


def _routes(facts: Facts) -> Iterator[Finding]:
    text = facts.texts.get(_ROUTER, "")
    lacking = [
        pattern
        for pattern, upstream in routes(plan_of(facts.site))
        if f'"~^{pattern}" {upstream};' not in text
    ]
    if lacking:
        yield Finding(
            "worker-route-missing",
            Severity.ERROR,
            _ROUTER,
            f"{len(lacking)} of the workers' routes lack, the first {lacking[0]}",
            "render the site again",
        )


def _synapse(facts: Facts) -> Iterator[Finding]:
    if facts.synapse not in facts.tested:
        yield Finding(
            "synapse-untested",
            Severity.ERROR,
            "matrix-synapse",
            f"Synapse {facts.synapse or '(none)'} is installed; the guard was tested with "
            f"{', '.join(facts.tested) or '(the site has no Rabta)'}",
            "install a tested release; the door does not start in another",
        )


def _door(facts: Facts) -> Iterator[Finding]:
    modules = [module.get("module") for module in _homeserver(facts).get("modules") or []]
    if _DOOR not in modules:
        yield Finding(
            "door-not-loaded",
            Severity.ERROR,
            _HOMESERVER,
            "the homeserver does not load the door: the policy binds nobody",
            "render the site again",
        )
    if facts.live is None:
        return
    for process, serial in facts.live.doors.items():
        if serial is None:
            yield Finding(
                "door-not-loaded",
                Severity.ERROR,
                process,
                "this process runs without the door",
                "start it with the rendered configuration",
            )
        elif facts.policy is not None and serial != facts.policy.serial:
            yield Finding(
                "policy-serial-differs",
                Severity.ERROR,
                process,
                f"it follows policy {serial}, the file is {facts.policy.serial}",
                "see its log; a lower serial than before is never taken",
            )


def _machine(facts: Facts) -> Iterator[Finding]:
    if not facts.clock_synchronised:
        yield Finding(
            "clock-unsynchronised",
            Severity.WARNING,
            "the machine",
            "the kernel's clock follows no time server; policies and certificates are dated",
            "run chrony or systemd-timesyncd against the ministry's own time server",
        )
    for directory, free in facts.free_mib.items():
        if free < _FREE_MIB:
            yield Finding(
                "disk-low",
                Severity.WARNING,
                directory,
                f"{free} MiB are free",
                f"make room; below {_FREE_MIB} MiB a busy day may fill it",
            )


def _backups(facts: Facts) -> Iterator[Finding]:
    if facts.site.backups is None:
        yield Finding(
            "no-backups",
            Severity.WARNING,
            "backups",
            "nothing is backed up",
            "name a directory and the age keys of those who may read it",
        )


def _drift(facts: Facts) -> Iterator[Finding]:
    for part in facts.parts:
        for path, text in part.files.items():
            if facts.texts.get(path) != text:
                yield Finding(
                    "configuration-edited",
                    Severity.WARNING,
                    path,
                    "it is not what the site renders",
                    "put the change into site.yaml and render, or render it away",
                )


def _live(facts: Facts) -> Iterator[Finding]:
    if facts.live is None:
        return
    for part in facts.live.silent:
        yield Finding(
            "part-silent",
            Severity.ERROR,
            part,
            "it does not answer",
            "read its log; it is started again by itself",
        )
    if facts.live.locale not in {None, "C"}:
        yield Finding(
            "database-locale",
            Severity.ERROR,
            "database",
            f"its collation is {facts.live.locale}, which may change with the C library",
            "make the database anew with locale C and restore into it",
        )


def _homeserver(facts: Facts) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(facts.texts.get(_HOMESERVER, "")) or {}
    return found


_CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    residency.check,
    _policy,
    _pinned,
    _registration,
    _ciphers,
    _certificates,
    _modes,
    _routes,
    _synapse,
    _door,
    _machine,
    _backups,
    _drift,
    _live,
)
