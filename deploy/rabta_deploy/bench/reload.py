"""(c) How long a new policy takes from its file's change until every process obeys it.

A ministry at its largest: five Synapse processes on PostgreSQL behind a router, and its border
gateway. Each looks at the file by itself and says in its log when a policy is in force; the file's
own time and the times of these lines are compared.
"""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median

from rabta_deploy.authority import NetworkAuthority
from rabta_deploy.bench.measure import Line, to_target
from rabta_deploy.bench.subjects import now
from rabta_deploy.ca import CertificateAuthority
from rabta_deploy.ministry import PORT_USES, Ministry
from rabta_deploy.ports import free_port
from rabta_deploy.postgres import Postgres
from rabta_deploy.process import stop_all, until
from rabta_policy import fill_servers, load_document

TARGET_S = 2.0
TURNS, LOOK_S, WITHIN_S = 20, 0.5, 60
SERVER, CODE = "itt.gov.test", "ITT"
_SAID = re.compile(r"^(\S+ \S+),(\d{3}) INFO .* Policy with serial (\d+) is in force", re.MULTILINE)


def reload(template: Path) -> list[Line]:
    """Seconds until a new policy is in force in every process, the usual and the worst.

    Args:
        template: the policy that is issued again and again.
    """
    # Not below a closed directory: PostgreSQL runs as a user of its own.
    with tempfile.TemporaryDirectory(prefix="rabta-bench-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        authority = NetworkAuthority(home / "policy")
        with _running(home, authority, template) as ministry:
            late = [_turn(ministry, authority, template, turn) for turn in range(TURNS)]
    usual = median(max(turn.values()) for turn in late)
    worst = max(max(turn.values()) for turn in late)
    gateway = median(turn["gateway"] for turn in late)
    everywhere = f"{len(late[0])} processes"
    return [
        to_target(f"reload, in force in {everywhere}, median of {TURNS}", usual, TARGET_S, "s"),
        to_target(f"reload, in force in {everywhere}, worst of {TURNS}", worst, TARGET_S, "s"),
        to_target("reload, in force in the gateway, median", gateway, TARGET_S, "s"),
    ]


@contextmanager
def _running(home: Path, authority: NetworkAuthority, template: Path) -> Iterator[Ministry]:
    postgres = Postgres(home / "cluster", port=free_port(), throw_away=True)
    postgres.start()
    try:
        postgres.wait_ready()
        ministry = Ministry(
            SERVER,
            home / "ministry",
            ports={use: free_port() for use in PORT_USES},
            policy=authority.files,
            ca=CertificateAuthority(home / "ca"),
            clock=now,
            with_workers=True,
            database=postgres.database("bench"),
        )
        _issue(ministry, authority, template, 0)
        try:
            ministry.start()
            ministry.wait_ready()
            yield ministry
        finally:
            stop_all(ministry.children.values())
    finally:
        postgres.stop()


def _issue(ministry: Ministry, authority: NetworkAuthority, template: Path, turn: int) -> int:
    document = fill_servers(load_document(template.read_text()), {CODE: ministry.pinned})
    document["organisations"][-1]["name"] = f"An organisation of turn {turn}"
    return authority.publish(document, now=now())


def _turn(
    ministry: Ministry, authority: NetworkAuthority, template: Path, turn: int
) -> Mapping[str, float]:
    """Issue once; by process, the seconds from the file's change to its obedience."""
    # Each turn at another moment between two looks, or all would be as lucky as the first.
    until(lambda: False, within_s=LOOK_S * turn / TURNS)
    serial = _issue(ministry, authority, template, turn + 1)
    changed = authority.files.policy.stat().st_mtime
    until(lambda: all(_in_force(ministry, serial).values()), within_s=WITHIN_S)
    late = {}
    for name, moment in _in_force(ministry, serial).items():
        if moment is None:
            raise RuntimeError(f"serial {serial} is not in force in {name} after {WITHIN_S} s")
        late[name] = moment.timestamp() - changed
    return late


def _in_force(ministry: Ministry, serial: int) -> dict[str, datetime | None]:
    """By process, when it said that this serial is in force; None where it has not yet."""
    found = {name: _said(log, serial) for name, log in ministry.homeserver.logs.items()}
    return {**found, "gateway": _gateway_said(ministry, serial)}


def _said(log: Path, serial: int) -> datetime | None:
    for stamp, thousandths, number in _SAID.findall(log.read_text(encoding="utf-8")):
        if int(number) == serial:
            return datetime.fromisoformat(f"{stamp}.{thousandths}").astimezone()
    return None


def _gateway_said(ministry: Ministry, serial: int) -> datetime | None:
    log = ministry.gateway_directory / "gateway.log"
    for line in log.read_text(encoding="utf-8").splitlines():
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("event") == "policy-in-force" and said.get("serial") == serial:
            return datetime.fromisoformat(said["time"])
    return None
