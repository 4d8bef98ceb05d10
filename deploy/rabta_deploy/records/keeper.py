"""The records office's program: it goes through the rooms again and again until it is stopped."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event

import structlog
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from rabta_audit import Journal, JournalError
from rabta_deploy.admin import SynapseAdmin
from rabta_deploy.fault import YardError
from rabta_deploy.records.homeserver import RecordsHomeserver
from rabta_deploy.records.purging import Purging, Report
from rabta_deploy.records.register import Register
from rabta_deploy.records.settings import ACCOUNT, RecordsSettings

_AGAIN_S = 3600
_HOUR_S = 3600

log = structlog.get_logger("rabta.records")


@contextmanager
def signed_in(settings: RecordsSettings) -> Iterator[RecordsHomeserver]:
    """The homeserver's admin API, in a session of its own that ends."""
    secret = settings.registration_secret_file.read_text(encoding="utf-8").strip()
    password = settings.password_file.read_text(encoding="utf-8").strip()
    admin = SynapseAdmin(settings.client_url, secret)
    try:
        admin.register(ACCOUNT, password, admin=True)
        token = admin.log_in(ACCOUNT, password)
    except OSError as error:
        raise YardError(
            "homeserver-away", f"{settings.client_url} does not answer.", "see that the site runs"
        ) from error
    homeserver = RecordsHomeserver(settings.client_url, token)
    try:
        yield homeserver
    finally:
        homeserver.log_out()


def purge_once(
    settings: RecordsSettings, clock: Callable[[], datetime], *, dry: bool = False
) -> Report:
    """Go through all rooms once.

    Raises:
        YardError: `run-under-way`, `audit-not-written`, or as `Purging.run`; nothing more is
            destroyed.
    """
    register = Register(settings.directory, settings.server_name)
    register.holds()  # without a register nobody signs in
    with _alone(settings), _purges(register) as journal, signed_in(settings) as homeserver:
        return Purging(homeserver, register, settings.wanted, journal, clock).run(dry=dry)


@contextmanager
def _purges(register: Register) -> Iterator[Journal]:
    """The chain of what is destroyed; a disk that does not take it stops the run."""
    try:
        journal = Journal(register.audit, "purges")
        try:
            yield journal
        finally:
            journal.close()
    except (OSError, JournalError) as error:
        raise YardError(
            "audit-not-written",
            f"{register.audit} cannot be written: {error}",
            "make room or mend the disk; what was not written down was not destroyed",
        ) from error


def keep(settings: RecordsSettings, clock: Callable[[], datetime], stopped: Event) -> None:
    """Run until `stopped`; what failed is tried again after an hour."""
    registry = CollectorRegistry()
    last = Gauge("rabta_records_last_run_seconds", "When a run ended whole", registry=registry)
    failed = Gauge("rabta_records_failed", "1 while runs fail", registry=registry)
    rooms = Gauge("rabta_records_rooms", "Rooms of the last run", ["outcome"], registry=registry)
    server, thread = start_http_server(settings.metrics_port, "127.0.0.1", registry)
    try:
        while not stopped.is_set():
            try:
                report = purge_once(settings, clock)
            except YardError as fault:
                failed.set(1)
                log.warning("records-run-failed", reason=fault.reason, text=fault.text)
                stopped.wait(_AGAIN_S)
                continue
            failed.set(1 if report.failed else 0)
            last.set(clock().timestamp())
            for outcome, number in counts(report).items():
                rooms.labels(outcome).set(number)
            log.info("records-run", media=report.media, copies=report.copies, **counts(report))
            stopped.wait(settings.every_hours * _HOUR_S)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def counts(report: Report) -> dict[str, int]:
    """Outcome -> how many rooms had it."""
    held = sum(kept[0] == "on-hold" for kept in report.kept.values())
    return {
        "purged": len(report.purged),
        "on_hold": held,
        "kept": len(report.kept) - held,
        "nothing": report.nothing,
        "failed": len(report.failed),
    }


@contextmanager
def _alone(settings: RecordsSettings) -> Iterator[None]:
    lock = os.open(settings.directory / ".run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise YardError(
            "run-under-way", "Another run goes through the rooms.", "wait for it to end"
        ) from error
    finally:
        os.close(lock)
