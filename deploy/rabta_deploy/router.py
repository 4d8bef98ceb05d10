"""The router in front of a homeserver of many processes: nginx, on the loopback alone.

It shows the same two faces as one process does: the client and admin APIs, and the plain
federation API for the gateway. It writes nothing down, not even what does not fit into memory.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from rabta_deploy.fault import YardError
from rabta_deploy.jsonhttp import answers
from rabta_deploy.ports import require_free
from rabta_deploy.process import Child, spawn
from rabta_deploy.secretfile import write_secret
from rabta_deploy.worker_config import MAIN, Plan
from rabta_deploy.worker_routes import ANY, BY_ROOM, MEDIA, routes

_READY_WITHIN_S = 30
# Debian keeps it where only root's PATH looks.
_WHERE = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin"
_CLOSED = """\
            default_type application/json;
            return 404 '{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}';
"""
_HTTP = """\
    access_log off;
    server_tokens off;
    client_max_body_size 0;  # Synapse has its limits, and says so in Matrix's words
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
    # People's bodies pass through memory alone.
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_read_timeout 300s;  # a client may wait long for news
    # The path as it was sent: signatures cover it, and $uri is decoded.
    map $request_uri $path { "~^(?<before>[^?]*)" $before; }
    map $path $room { "~/rooms/(?<id>[^/]+)/" $id; }
    # Who asks: another server by its name, a person by the token. Only for balancing.
    map $http_authorization $caller {
        "~^X-Matrix .*origin=\\"?(?<server>[^\\",]+)" $server;
        default $http_authorization$arg_access_token;
    }
"""


@dataclass(frozen=True, slots=True)
class Tls:
    """The face that clients see, where it is not the loopback's.

    Attributes:
        listen: `host:port`.
        name: DNS name that clients use.
        server_name: Matrix server name; `.well-known` leads from it to `name`.
        federation: `name:port` of the gateway, for `.well-known`; None: nothing federates.
        certificate: Path of the PEM chain.
        key: Path of the PEM key.
        scim: Loopback port of the staff service.
    """

    listen: str
    name: str
    server_name: str
    federation: str | None
    certificate: PurePath
    key: PurePath
    scim: int | None = None


def document(
    *,
    plan: Plan,
    client_port: int,
    federation_port: int,
    http_ports: Mapping[str, int],
    tls: Tls | None = None,
    user: str | None = None,
) -> str:
    """The whole `nginx.conf`.

    Args:
        plan: The processes behind it.
        client_port: Loopback port of the client and admin APIs.
        federation_port: Loopback port of the plain federation API.
        http_ports: Process -> loopback port of its APIs.
        tls: Where clients arrive from elsewhere.
        user: Whom nginx's working process becomes; only root may be told.
    """
    upstreams = [_upstream(name, [http_ports[name]]) for name in plan.processes]
    generic = [http_ports[name] for name in plan.generic]
    upstreams += [_upstream(ANY, generic, by="$caller"), _upstream(BY_ROOM, generic, by="$room")]
    if plan.media:
        upstreams.append(_upstream(MEDIA, [http_ports[name] for name in plan.media]))
    table = "".join(f'        "~^{pattern}" {upstream};\n' for pattern, upstream in routes(plan))
    closed = ("/_matrix/federation", "/_matrix/key", "/_synapse/metrics")
    faces = [
        _server(f"127.0.0.1:{client_port}", _all_but(closed)),
        _server(
            f"127.0.0.1:{federation_port}",
            _only(("/_matrix/federation/", "/_matrix/key/", "/health")),
        ),
    ]
    if tls is not None:
        # From elsewhere nobody administers: that is done on the machine itself.
        locations = _all_but((*closed, "/_synapse/admin", "/_synapse/replication"))
        locations = _well_known(tls) | _staff(tls.scim) | locations
        faces.append(_server(f"{tls.listen} ssl", locations, _tls_lines(tls)))
    return (
        (f"user {user};\n" if user else "")
        + "daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log stderr warn;\n"
        "events { worker_connections 2048; }\nhttp {\n"
        + _HTTP
        + f'    map "$request_method $path" $process {{\n        default {MAIN};\n{table}    }}\n'
        + "".join(upstreams)
        + "".join(faces)
        + "}\n"
    )


def _upstream(name: str, ports: list[int], *, by: str = "") -> str:
    # A process that is away refuses at once, and nginx asks the next. Were it then left alone for
    # ten seconds, as by default, two restarted in turn would leave nobody to ask.
    servers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in ports)
    balanced = f"hash {by} consistent; " if by else ""
    # Kept for less than the 60 s after which Synapse (Twisted) closes an idle connection: a POST
    # that crosses that end would be answered with 502.
    kept = "keepalive 32; keepalive_timeout 45s;"
    return f"    upstream {name} {{ {balanced}{servers} {kept} }}\n"


_TO_PROCESS = "            proxy_pass http://$process;\n"


def _all_but(closed: tuple[str, ...]) -> dict[str, str]:
    return dict.fromkeys(closed, _CLOSED) | {"/": _TO_PROCESS}


def _only(opened: tuple[str, ...]) -> dict[str, str]:
    return dict.fromkeys(opened, _TO_PROCESS) | {"/": _CLOSED}


def _staff(port: int | None) -> dict[str, str]:
    """SCIM, for those who have a token; what the operator asks stays on the machine."""
    if port is None:
        return {}
    return {"/scim/v2/": f"            proxy_pass http://127.0.0.1:{port};\n"}


def _server(listen: str, locations: Mapping[str, str], lines: str = "") -> str:
    body = "".join(
        f"        location {where} {{\n{what}        }}\n" for where, what in locations.items()
    )
    return f"    server {{\n        listen {listen};\n{lines}{body}    }}\n"


def _tls_lines(tls: Tls) -> str:
    return (
        f"        server_name {tls.name} {tls.server_name};\n"
        f"        ssl_certificate {tls.certificate};\n"
        f"        ssl_certificate_key {tls.key};\n"
        "        ssl_protocols TLSv1.2 TLSv1.3;\n"
        "        ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;\n"
        "        ssl_session_tickets off;\n"
        '        add_header Strict-Transport-Security "max-age=31536000" always;\n'
    )


def _well_known(tls: Tls) -> dict[str, str]:
    """How clients and other servers find us (client-server and server-server API)."""
    port = tls.listen.rpartition(":")[2]
    at = tls.name if port == "443" else f"{tls.name}:{port}"
    said = {"client": {"m.homeserver": {"base_url": f"https://{at}"}}}
    if tls.federation:
        said["server"] = {"m.server": tls.federation}  # type: ignore[dict-item] # two documents, two shapes
    return {
        f"= /.well-known/matrix/{name}": (
            "            default_type application/json;\n"
            "            add_header Access-Control-Allow-Origin * always;\n"
            f"            return 200 '{json.dumps(body)}';\n"
        )
        for name, body in said.items()
    }


class Router:
    """One nginx.

    Args:
        directory: Holds its configuration and its pid file.
        plan: The processes behind it.
        name: What messages call it.
        client_port: Loopback port of the client and admin APIs.
        federation_port: Loopback port of the plain federation API.
        http_ports: Process -> loopback port of its APIs.
    """

    def __init__(
        self,
        directory: Path,
        *,
        plan: Plan,
        name: str,
        client_port: int,
        federation_port: int,
        http_ports: Mapping[str, int],
    ) -> None:
        self.directory = directory.absolute()
        self.child: Child | None = None
        self._name = name
        self._ports = {"client": client_port, "federation": federation_port}
        self._text = document(
            plan=plan,
            client_port=client_port,
            federation_port=federation_port,
            http_ports=http_ports,
            # nginx drops root for its working process.
            user="www-data" if os.geteuid() == 0 else None,
        )

    def start(self) -> None:
        """Render and start; returns at once.

        Raises:
            PortTakenError: One of its ports is taken.
            YardError: `nginx-missing`.
        """
        if self.child is not None and self.child.running:
            return
        program = shutil.which("nginx", path=_WHERE)
        if program is None:
            raise YardError("nginx-missing", "nginx is not installed.", "apt-get install nginx")
        require_free({f"{self._name} {use}": port for use, port in self._ports.items()})
        (self.directory / "tmp").mkdir(parents=True, exist_ok=True, mode=0o700)
        file = write_secret(self.directory / "nginx.conf", self._text)
        self.child = spawn(
            [
                # A kill would leave nginx's working process behind, and the ports with it.
                *("setpriv", "--pdeathsig=TERM"),
                *(program, "-p", self.directory, "-e", "stderr", "-c", file),
            ],
            name=self._name,
            log_file=self.directory / "nginx.log",
        )

    def wait_ready(self, *, within_s: float = _READY_WITHIN_S) -> None:
        """Wait until the main process answers through it.

        Raises:
            ProcessError: It ended, or is not ready in time.
            RuntimeError: It was never started.
        """
        if self.child is None:
            raise RuntimeError(f"{self._name} was not started")
        health = f"http://127.0.0.1:{self._ports['client']}/health"
        self.child.wait_ready(lambda: answers(health), within_s=within_s)

    def stop(self) -> None:
        """Stop it; harmless when it does not run."""
        if self.child is not None:
            self.child.stop()
