"""One program of a site, told once: systemd, Compose, Helm and the runner read the same value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

_LOWEST_FREE_PORT = 1024
"""Below it Linux wants CAP_NET_BIND_SERVICE (capabilities(7))."""


@dataclass(frozen=True, slots=True)
class Listen:
    """A socket.

    Attributes:
        use: What it is for, for example `http`.
        host: Address.
        port: TCP port.
        tls: Whether what passes is encrypted; without it the address is a loopback one.
    """

    use: str
    host: str
    port: int
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """How a program shows that it is ready.

    Attributes:
        kind: `http` wants 200 at `path`, `tcp` wants a connection.
        port: On the loopback, or on the address it listens on.
        within_s: Seconds it may take from its start.
    """

    kind: Literal["http", "tcp"]
    port: int
    host: str = "127.0.0.1"
    path: str = "/health"
    within_s: int = 180

    @property
    def url(self) -> str:
        """As `rabta_deploy.site.ready` takes it: `http://host:port/path` or `tcp://host:port`."""
        path = self.path if self.kind == "http" else ""
        return f"{self.kind}://{self.host}:{self.port}{path}"


@dataclass(frozen=True, slots=True)
class Contact:
    """A host beyond this machine that a program calls, and why."""

    host: str
    why: str


@dataclass(frozen=True, slots=True)
class Workload:
    """One program.

    Attributes:
        name: Unique in the site; the unit, the service and the container are called so.
        command: Program and arguments.
        says: One line on what it is for.
        probe: How it shows that it is ready.
        memory_mib: It gets no more.
        cpus: Cores it gets at most.
        files: Path below the configuration directory -> text. No secret stands there.
        secrets: Names of the secrets it reads.
        reads: Further files that the operator brings, such as certificates.
        listens: Its sockets.
        state: Directories below the state directory that it alone may write.
        after: Programs that are ready before it starts.
        user: System user it runs as.
        environment: Beside the few inherited variables.
        door: Whether it loads the door module.
        contacts: Whom it calls beyond this machine.
        stop: Signal that ends it in order.
        stop_s: Seconds it may take to end.
    """

    name: str
    command: tuple[str, ...]
    says: str
    probe: Probe
    memory_mib: int
    cpus: float
    files: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    listens: tuple[Listen, ...] = ()
    state: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    user: str = "rabta"
    environment: Mapping[str, str] = field(default_factory=dict)
    door: bool = False
    contacts: tuple[Contact, ...] = ()
    stop: Literal["TERM", "INT", "QUIT"] = "TERM"
    stop_s: int = 30

    @property
    def binds_low_port(self) -> bool:
        """Whether it needs the one capability that a site's programs may have."""
        return any(listen.port < _LOWEST_FREE_PORT for listen in self.listens)
