"""(b) What a module adds to a message: CPU of real homeservers, taken in turns in one run.

Local sends and events received from another server, in a room of two and in one of hundreds.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rabta_deploy.bench.cpu import cpu_seconds
from rabta_deploy.bench.measure import Line, Skipped, in_turns
from rabta_deploy.bench.public_modules import public_modules
from rabta_deploy.bench.subjects import AGAIN, DOOR, PLAIN, Subject, Yard
from rabta_deploy.bench.workloads import EVENTS, LocalSends, ReceivedEvents
from rabta_deploy.fault import YardError
from rabta_deploy.homeserver import Homeserver
from rabta_deploy.process import ProcessError, stop_all

TARGET = 1.03
BLOCKS, ROUNDS = 3, 8
Round = dict[str, float]
"""Subject's name -> CPU seconds per event."""
Spent = dict[str, list[Round]]
"""By workload."""


def messages(template: Path) -> list[Line]:
    """CPU seconds per 1,000 local sends and received events, by subject, beside plain Synapse.

    Args:
        template: the policy that names the homeserver and its peer.
    """
    with tempfile.TemporaryDirectory(prefix="rabta-bench-") as folder:
        home = Path(folder)
        subjects, skipped = public_modules(home / "public-modules")
        yard = Yard(home, template)
        try:
            yard.fill()
            alike = {subject: yard.copy(subject) for subject in (PLAIN, AGAIN, DOOR)}
            public = {subject: yard.copy(subject) for subject in subjects}
            spent: Spent = {}
            for block in range(BLOCKS):
                # Fresh processes: no two lie in memory alike, and that alone costs some percent.
                # What a public module costs is seen in one block; the target is ours.
                with _running(alike | ({} if block else public)) as (up, fallen):
                    _block(yard, up, spent)
                skipped += fallen
        finally:
            yard.close()
    return [*_lines(spent, [AGAIN, DOOR, *subjects]), *skipped]


def _lines(spent: Spent, subjects: list[Subject]) -> Iterator[Line]:
    for workload, rounds in spent.items():
        for subject in subjects:
            shared = [one for one in rounds if subject.name in one]
            if not shared:
                continue  # it did not start
            yield in_turns(
                f"{workload}: {subject.name}",
                [one[subject.name] * 1000 for one in shared],
                [one[PLAIN.name] * 1000 for one in shared],
                unit="CPU s / 1,000",
                target=TARGET if subject is DOOR else None,
            )


@contextmanager
def _running(
    homeservers: Mapping[Subject, Homeserver],
) -> Iterator[tuple[dict[Subject, Homeserver], list[Skipped]]]:
    """Start all; a public module that does not start on this Synapse is told and left out."""
    up, fallen = {}, []
    try:
        for homeserver in homeservers.values():
            homeserver.start()
        for subject, homeserver in homeservers.items():
            try:
                homeserver.wait_ready()
                up[subject] = homeserver
            except YardError as fault:
                if subject.folder is None:
                    raise
                fallen.append(Skipped(subject.name, f"does not start: {_last_words(fault)}"))
        yield up, fallen
    finally:
        stop_all([server.child for server in homeservers.values() if server.child is not None])


def _last_words(fault: YardError) -> str:
    tail = fault.log_tail if isinstance(fault, ProcessError) else ""
    return (tail.strip().splitlines() or [fault.text])[-1]


def _block(yard: Yard, homeservers: Mapping[Subject, Homeserver], spent: Spent) -> None:
    workloads: list[LocalSends | ReceivedEvents] = [*yard.local_sends, *yard.received_events]
    for workload in workloads:
        warm = workload.next_round()  # the caches warm up before anything counts
        for homeserver in homeservers.values():
            warm(homeserver)
            if isinstance(workload, ReceivedEvents) and not workload.shown(homeserver):
                raise RuntimeError(f"{workload.name}: stored, but not accepted")
        for turn in range(ROUNDS):
            give, spent_now = workload.next_round(), Round()
            order = list(homeservers)
            for subject in order[turn % len(order) :] + order[: turn % len(order)]:
                homeserver = homeservers[subject]
                if homeserver.child is None:
                    raise RuntimeError("start the homeserver first")
                cost = cpu_seconds(homeserver.child.pid, partial(give, homeserver))
                spent_now[subject.name] = cost / EVENTS
            spent.setdefault(workload.name, []).append(spent_now)
