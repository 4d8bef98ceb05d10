"""Three ministries, each a real homeserver behind its real gateway, and what they know."""

import itertools
import json
import sqlite3
import ssl
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from socket import create_connection
from typing import Any

import psycopg
from matrix_person import Person
from signedjson.key import read_signing_keys
from signedjson.sign import sign_json
from site_ministry import SiteMinistry

from rabta_deploy.authority import NetworkAuthority
from rabta_deploy.ca import CertificateAuthority
from rabta_deploy.ministry import PORT_USES, Ministry
from rabta_deploy.ports import free_port
from rabta_deploy.process import until
from rabta_policy import load_document

ITT, FIN, LAW = "itt.gov.test", "fin.gov.test", "law.gov.test"
CODES = {ITT: "ITT", FIN: "FIN", LAW: "LAW"}
DEALINGS = [
    "invite", "join", "knock", "profile", "directory", "presence", "keys", "to-device", "media",
    "alias", "call", "reference",
]  # fmt: skip
START, END = "2026-01-01T00:00:00+05:00", "2036-01-01T00:00:00+05:00"
Plain = dict[str, Any]


def utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - real processes live in real time


class Ministries:
    """Three ministries and the authority whose policies they follow.

    Args:
        home: Holds all; user postgres must pass through it where there are `sites`.
        further: Server name -> further keywords of its `Ministry`.
        sites: Those that `rabta site` makes; clients reach them by TLS.
    """

    def __init__(
        self, home: Path, further: Mapping[str, Plain], sites: Collection[str] = ()
    ) -> None:
        self.home = home
        self.ca = CertificateAuthority(home / "ca")
        self.authority = NetworkAuthority(home / "policy")
        self.all: dict[str, Ministry | SiteMinistry] = {}
        self._people: dict[str, Person] = {}
        taken: list[int] = []
        for name, code in CODES.items():
            if name in sites:
                self.all[name] = SiteMinistry(
                    *(name, home / name),
                    network=home,
                    organisation=code,
                    clock=utc_now,
                )
                continue
            ports = {}
            for use in PORT_USES:
                ports[use] = free_port(taken=taken)
                taken.append(ports[use])
            self.all[name] = Ministry(
                name,
                home / name,
                ports=ports,
                policy=self.authority.files,
                ca=self.ca,
                clock=utc_now,
                **further.get(name, {}),
            )

    def start(self) -> None:
        self.publish()
        for ministry in self.all.values():
            ministry.start()
        for ministry in self.all.values():
            ministry.wait_ready()

    def stop(self) -> None:
        for ministry in self.all.values():
            ministry.stop()

    def document(
        self,
        *,
        apart: Iterable[tuple[str, str]] = (),
        suspended: Iterable[str] = (),
    ) -> Plain:
        """A policy in which the three may deal with each other, but for these.

        Args:
            apart: Pairs of server names without any permit.
            suspended: Server names of suspended organisations.
        """
        template = load_document(
            (Path(__file__).parents[2] / "config/demo-policy.yaml").read_text(encoding="utf-8")
        )
        parted = [set(pair) for pair in apart]
        return template | {
            "network": "three.rabta.test",
            "tls_ca": self.ca.pem,
            "relations": {"same": template["relations"]["same"]},
            "organisations": [
                {
                    "code": code,
                    "from": START,
                    "kind": "division",
                    "name": code,
                    "name_ur": code,
                    "phase": "pilot",
                    "status": "suspended" if name in suspended else "active",
                    "ceiling": "confidential",
                    "server": self.all[name].pinned.model_dump(mode="json", exclude_none=True),
                }
                for name, code in CODES.items()
            ],
            "permits": [
                {
                    "order": f"{CODES[one]}-{CODES[other]}",
                    "origin": CODES[one],
                    "destination": CODES[other],
                    "direction": "both",
                    "actions": list(DEALINGS),
                    "max_class": "restricted",
                    "from": START,
                    "until": END,
                }
                for one, other in itertools.combinations(CODES, 2)
                if {one, other} not in parted
            ],
        }

    def publish(self, **wanted: Any) -> int:
        """Sign and publish; returns the serial."""
        return self.authority.publish(self.document(**wanted), now=utc_now())

    def follow(self, **wanted: Any) -> int:
        """Publish, and wait until every gateway and homeserver follows."""
        serial = self.publish(**wanted)
        assert until(lambda: all(self._follows(name, serial) for name in self.all), within_s=20)
        return serial

    def _follows(self, name: str, serial: int) -> bool:
        ministry = self.all[name]
        said = f"Policy with serial {serial} is in force"
        logs = ministry.homeserver.logs.values()
        return ministry.policy_serial == serial and all(said in log.read_text() for log in logs)

    def person(self, name: str, localpart: str) -> Person:
        """An account of a ministry, signed in; the same for the same name."""
        key = f"@{localpart}:{name}"
        if key not in self._people:
            ministry = self.all[name]
            self._people[key] = Person(
                ministry.homeserver, localpart, client_url=ministry.client_url
            )
        return self._people[key]

    def signed(
        self, origin: str, destination: str, method: str, path: str, content: Any = None
    ) -> tuple[int, str]:
        """A federation request signed with a ministry's own key, through the other's gateway."""
        text = self.all[origin].homeserver.files.signing_key.read_text(encoding="utf-8")
        (key,) = read_signing_keys(text.splitlines())
        envelope = {"method": method, "uri": path, "origin": origin, "destination": destination}
        if content is not None:
            envelope["content"] = content
        ((key_id, signature),) = sign_json(envelope, origin, key)["signatures"][origin].items()
        headers = {
            "Authorization": f'X-Matrix origin="{origin}",destination="{destination}",'
            f'key="{key_id}",sig="{signature}"',
            "Content-Type": "application/json",
        }
        trust = ssl.create_default_context(cadata=self.ca.pem)
        port = self.all[destination].ports["gateway-in"]
        connection = HTTPSConnection(destination, port, context=trust, timeout=30)
        plain = create_connection(("127.0.0.1", port), timeout=30)
        connection.sock = trust.wrap_socket(plain, server_hostname=destination)
        try:
            body = None if content is None else json.dumps(content)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def stored(self, name: str, needle: str) -> list[str]:
        """The tables of a homeserver's database in which a text stands anywhere."""
        homeserver = self.all[name].homeserver
        if homeserver.settings.database == "sqlite":
            file = f"file:{homeserver.files.database}?mode=ro"
            with closing(sqlite3.connect(file, uri=True, timeout=30)) as database:
                return _tables_with(
                    database.cursor(), needle, "SELECT name FROM sqlite_master WHERE type='table'"
                )
        with psycopg.connect(homeserver.settings.database) as connection:
            tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            return _tables_with(connection.cursor(), needle, tables)

    def quiet(self, name: str, *, for_s: float = 3) -> int:
        """Wait until a ministry was let alone for a while; returns what it had received by then."""
        counted, since = -1, time.monotonic()

        def silent() -> bool:
            nonlocal counted, since
            now, told = time.monotonic(), self.received(name)
            if told != counted:
                counted, since = told, now
            return now - since >= for_s

        assert until(silent, within_s=30, every_s=0.5)
        return counted

    def received(self, name: str) -> int:
        """How many requests of others a ministry's gateway let in."""
        url = self.all[name].gateway_metrics_url
        host, _, path = url.removeprefix("http://").partition("/")
        connection = HTTPConnection(host)
        connection.request("GET", f"/{path}")
        text = connection.getresponse().read().decode()
        connection.close()
        return sum(
            int(float(line.rpartition(" ")[2]))
            for line in text.splitlines()
            if line.startswith("rabta_gateway_requests_total{")
            and 'direction="inbound"' in line
            and 'outcome="forwarded"' in line
        )


def _tables_with(database: Any, needle: str, tables: str) -> list[str]:
    """Those of the tables in which a text stands anywhere."""
    names = [row[0] for row in database.execute(tables).fetchall()]
    return [
        name
        for name in names
        if any(needle in str(row) for row in database.execute(f'SELECT * FROM "{name}"'))  # noqa: S608 - the names are the database's own
    ]
