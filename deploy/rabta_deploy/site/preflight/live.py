"""Asks a running site: which parts answer, which policy each door follows, which locale it has."""

import re
import urllib.request

import psycopg

from rabta_deploy.site.database import connect
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.parts import workloads
from rabta_deploy.site.preflight.facts import LiveFacts
from rabta_deploy.site.ready import ready
from rabta_deploy.site.workload import Workload

_SERIAL = re.compile(r"^rabta_door_policy_serial ([0-9.e+]+)$", re.MULTILINE)
_TIMEOUT_S = 5


def ask(site: Site, layout: Layout) -> LiveFacts:
    """What the site says of itself now; a part that does not answer is named."""
    parts = workloads(site, layout)
    silent = tuple(part.name for part in parts if not ready(part.probe.url))
    doors = {part.name: _serial(part) for part in parts if part.door and part.name not in silent}
    return LiveFacts(silent, doors, _locale(site, layout))


def _serial(part: Workload) -> int | None:
    port = next(listen.port for listen in part.listens if listen.use == "metrics")
    url = f"http://127.0.0.1:{port}/_synapse/metrics"
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
        found = _SERIAL.search(answer.read().decode())
    return int(float(found[1])) if found else None


def _locale(site: Site, layout: Layout) -> str | None:
    try:
        with connect(site, layout, timeout_s=_TIMEOUT_S) as connection:
            row = connection.execute(
                "SELECT datcollate FROM pg_database WHERE datname = current_database()"
            ).fetchone()
    except psycopg.OperationalError:
        return None
    return str(row[0]) if row else None
