"""Runs a rendered site on this machine, as systemd would: in order, watched, started again.

A part that ends is started again after a second, whatever ended it; what it left behind in its
own session is ended first.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from rabta_deploy.admin import SynapseAdmin
from rabta_deploy.fault import YardError
from rabta_deploy.ports import require_free
from rabta_deploy.postgres import Postgres, as_postgres
from rabta_deploy.process import Child, spawn
from rabta_deploy.secretfile import keep_secret, write_secret
from rabta_deploy.site.control import Runner
from rabta_deploy.site.description import ARCHIVE_ACCOUNT, BRIDGE_ACCOUNT, Site
from rabta_deploy.site.layout import Layout, ports
from rabta_deploy.site.parts import in_order, workloads
from rabta_deploy.site.ready import ready
from rabta_deploy.site.rendering import config_files, write
from rabta_deploy.site.secrets_of_site import keep_database_passwords, make_secrets
from rabta_deploy.site.workload import Workload

ACCOUNTS = {
    "bridge": (BRIDGE_ACCOUNT, "bridge-account-password"),
    "archiver": (ARCHIVE_ACCOUNT, "archive-account-password"),
}
"""Part -> the local part of its account, and the secret it signs in with."""
ADMINISTRATOR = "rabta-admin"
PACKAGES = {"postgres": "postgresql", "turnserver": "coturn", "grafana-server": "grafana"}
"""Debian's package of a program that is called otherwise."""
RESTART_AFTER_S = 1.0
_LOOK_S = 0.1


def silent(_step: str) -> None:
    """Report progress to nobody."""


class Running:
    """A site that runs below one directory.

    One thread starts it and looks after it: a part is told to end when the thread that started it
    is gone (prctl(2), PR_SET_PDEATHSIG).

    Args:
        site: What to run.
        layout: Its directories, all below one.
        report: Told, in words, what is being done now.
    """

    def __init__(
        self, site: Site, layout: Layout, *, report: Callable[[str], None] = silent
    ) -> None:
        self.site = site
        self.layout = layout
        self.ports = ports(site)
        self.parts = {part.name: part for part in workloads(site, layout)}
        self.children: dict[str, Child] = {}
        self.restarts: dict[str, int] = dict.fromkeys(self.parts, 0)
        self._report = report
        self._runner = Runner(layout)
        self._again_at: dict[str, float] = {}
        self._cluster = (
            Postgres(layout.state / "postgres", port=self.ports["postgres"])
            if site.database.kind == "managed"
            else None
        )

    @property
    def client_url(self) -> str:
        """The client and admin APIs on the loopback."""
        return f"http://127.0.0.1:{self.ports['router client']}"

    @property
    def admin(self) -> SynapseAdmin:
        """The homeserver's admin API, without a token yet."""
        secret = self.layout.secret("registration").read_text(encoding="utf-8")
        return SynapseAdmin(self.client_url, secret)

    def register(self, localpart: str, password: str, *, admin: bool = False) -> str:
        """Register an account, or leave it as it is when it exists; gives the user id."""
        self.admin.register(localpart, password, admin=admin)
        return f"@{localpart}:{self.site.server_name}"

    def lift_rate_limits(self, user_id: str) -> None:
        """Free one account (a bot) from rate limits."""
        self.admin.lift_rate_limits(user_id, token=self.administrator_token)

    def up(self) -> None:
        """Render, make secrets, and start every part in order; on any failure nothing stays.

        Raises:
            YardError: `program-missing`, `port-taken` and those of the parts.
        """
        require_programs(self.parts.values())
        require_free(
            {
                f"{part.name} {listen.use}": listen.port
                for part in self.parts.values()
                for listen in part.listens
            }
        )
        try:
            self._up(None)
        except BaseException:
            self.down()
            raise

    def up_to(self, name: str) -> None:
        """As `up`, but one part alone, which needs no other.

        Raises:
            YardError: As `up`.
        """
        require_programs([self.parts[name]])
        try:
            self._up(name)
        except BaseException:
            self.down()
            raise

    def _up(self, alone: str | None) -> None:
        self._prepare()
        for group in in_order(tuple(self.parts.values())):
            chosen = [part for part in group if alone in {None, part.name}]
            if not chosen:
                continue
            self._report(f"starting {', '.join(part.name for part in chosen)}")
            for part in chosen:
                if part.name in ACCOUNTS:
                    self._make_account(*ACCOUNTS[part.name])
            for part in chosen:
                self._start(part)
            for part in chosen:
                self._wait(part)
            if self._cluster is not None and any(part.name == "postgres" for part in chosen):
                self._make_databases(self._cluster)
            if alone in {part.name for part in chosen}:
                return

    def _prepare(self) -> None:
        for directory in (self.layout.config, self.layout.state):
            directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._runner.note({})
        self._report("rendering")
        write(config_files(tuple(self.parts.values())), self.layout.config)
        make_secrets(self.site, self.layout)
        for part in self.parts.values():
            for name in part.state:
                own = self.layout.state / name
                own.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.layout.state / "router" / "tmp").mkdir(exist_ok=True, mode=0o700)
        if self._cluster is not None:
            self._report("preparing the database")
            self._cluster.prepare()

    def _make_databases(self, cluster: Postgres) -> None:
        names = ["synapse", *(["rabta-bridge"] if self.site.eoffice else [])]
        keep_database_passwords(self.layout, [(name, cluster.database(name)) for name in names])

    def _make_account(self, localpart: str, secret: str) -> None:
        password = self.layout.secret(secret).read_text(encoding="utf-8")
        self.lift_rate_limits(self.register(localpart, password))

    @property
    def administrator_token(self) -> str:
        """Access token of the site's own administrator, who is made on first use.

        It is in force: one that ended with `session_lifetime` is replaced, for the same device.
        """
        file, admin = self.layout.secret("administrator.token"), self.admin
        token = file.read_text(encoding="utf-8") if file.exists() else None
        if token is None or not admin.knows(token):
            password = keep_secret(self.layout.secret("administrator-password"))
            admin.register(ADMINISTRATOR, password, admin=True)
            token = admin.log_in(ADMINISTRATOR, password, device_id=ADMINISTRATOR)
            write_secret(file, token)
        return token

    def _start(self, part: Workload) -> None:
        as_user = as_postgres() if part.user == "postgres" else ()
        command, environment = self._runner.renewed(part.name) or (part.command, part.environment)
        self.children[part.name] = spawn(
            # When this runner is gone, each part is told to end in its own order.
            ["setpriv", f"--pdeathsig={part.stop}", *as_user, *command],
            name=part.name,
            log_file=self.layout.state / "log" / f"{part.name}.log",
            environment=environment,
            directory=self.layout.state / (part.state[0] if part.state else ""),
        )
        self._note()

    def _note(self) -> None:
        self._runner.note({name: child.pid for name, child in self.children.items()})

    def _wait(self, part: Workload) -> None:
        probe = part.probe
        asks_cluster = part.name == "postgres" and self._cluster is not None
        self.children[part.name].wait_ready(
            lambda: self._cluster.answers if asks_cluster and self._cluster else ready(probe.url),
            within_s=probe.within_s,
        )

    def watch(self, stopped: Callable[[], bool]) -> None:
        """Start again what ends, until `stopped` says so."""
        pause = threading.Event()
        while not stopped():
            self.look()
            pause.wait(_LOOK_S)

    def look(self) -> None:
        """One look: note what ended, and start what has been away for a second."""
        now = time.monotonic()
        for name, child in self.children.items():
            if child.running:
                continue
            if name not in self._again_at:
                _end_session(child.pid)
                self._again_at[name] = now + RESTART_AFTER_S
                self._report(f"{name} ended ({child.exit_code}); starting it again")
            elif now >= self._again_at[name]:
                del self._again_at[name]
                self.restarts[name] += 1
                self._start(self.parts[name])

    def down(self) -> None:
        """Stop every part, the last started first, each with its own signal."""
        self._again_at.clear()
        for group in reversed(in_order(tuple(self.parts.values()))):
            stopping = [part for part in group if part.name in self.children]
            for part in stopping:
                child = self.children[part.name]
                if child.running:
                    os.kill(child.pid, getattr(signal, f"SIG{part.stop}"))
            for part in stopping:
                self.children.pop(part.name).wait(grace_s=part.stop_s)
        self._note()


def require_programs(parts: Iterable[Workload]) -> None:
    """Refuse when a part's program is not installed, naming every one.

    Raises:
        YardError: `program-missing`.
    """
    lacking = sorted({part.command[0] for part in parts if not Path(part.command[0]).exists()})
    if lacking:
        packages = {PACKAGES.get(Path(one).name, Path(one).name) for one in lacking}
        raise YardError(
            "program-missing",
            f"Not installed: {', '.join(lacking)}.",
            f"apt-get install {' '.join(sorted(packages))}",
        )


def _end_session(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def root_of(directory: Path) -> Path:
    """A directory that PostgreSQL's user may pass through.

    Raises:
        YardError: `root-closed`.
    """
    closed = [
        one
        for one in (directory.absolute(), *directory.absolute().parents)
        if one.exists() and os.geteuid() == 0 and not one.stat().st_mode & 0o001
    ]
    if closed:
        raise YardError(
            "root-closed",
            f"User postgres cannot pass through {closed[-1]}.",
            f"chmod o+x {closed[-1]}, or give another directory",
        )
    return directory
