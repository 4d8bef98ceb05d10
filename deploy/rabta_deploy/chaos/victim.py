"""Runs a part of the network as its own command would, and kills at the moment it was told.

    python -m rabta_deploy.chaos.victim bridge run --config bridge.yaml

RABTA_CHAOS names a JSON file, `Orders`. The functions of `steps.STEPS` are wrapped as their modules
are imported; the parts themselves know nothing of it.
"""

import contextlib
import importlib.machinery
import inspect
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, Engine, Pool, event

from rabta_deploy.chaos.steps import STEPS, Edge, Step

ORDERS = "RABTA_CHAOS"


@dataclass(frozen=True, slots=True)
class Order:
    """Kill `target` when `edge` of `step` comes for the `turn`-th time."""

    step: str
    edge: Edge
    turn: int
    target: str

    @property
    def as_json(self) -> dict[str, Any]:
        """For the file of orders."""
        return {"step": self.step, "edge": self.edge, "turn": self.turn, "target": self.target}


def write_orders(
    file: Path, orders: Sequence[Order], *, pids: Path, told: Path, skew: timedelta = timedelta(0)
) -> None:
    """Write what a victim does.

    Args:
        file: The file of orders.
        orders: One after the other.
        pids: Directory with a file of each part's process id.
        told: Where a line is written before each kill.
        skew: How far the part's clock is ahead (e-Office alone).
    """
    document = {
        "orders": [order.as_json for order in orders],
        "pids": str(pids),
        "told": str(told),
        "skew_s": skew.total_seconds(),
    }
    file.write_text(json.dumps(document), encoding="utf-8")


class _Thread(threading.local):
    """What the transaction under way in this thread has done."""

    def __init__(self) -> None:
        self.reached: dict[str, int | None] = {}
        self.committed: set[str] = set()


class Killer:
    """Counts the moments that come, and kills at the ones ordered."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._orders = [
            Order(one["step"], Edge(one["edge"]), one["turn"], one["target"])
            for one in document["orders"]
        ]
        self._pids = Path(document["pids"])
        self._told = Path(document["told"])
        self._lock = threading.Lock()
        self._here = _Thread()
        self._turns = 0

    def came(self, step: str, edge: Edge) -> None:
        """A moment came."""
        with self._lock:
            if not self._orders:
                return
            order = self._orders[0]
            if (order.step, order.edge) != (step, edge):
                return
            self._turns += 1
            if self._turns < order.turn:
                return
            self._orders.pop(0)
            self._turns = 0
            pid = os.getpid()
            if order.target != "self":
                pid = int((self._pids / order.target).read_text())
            descriptor = os.open(self._told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(descriptor, f"{step}/{edge} {order.target}\n".encode())
            os.close(descriptor)
            with contextlib.suppress(ProcessLookupError):  # dead already, and not yet back
                os.kill(pid, signal.SIGKILL)
            if order.target == "self":
                threading.Event().wait()  # no line of ours runs any more

    def watch_commits(self) -> Callable[[], None]:
        """Tell of every transaction's end, on every engine of the process; gives an undo."""
        watched: tuple[tuple[type, str, Callable[..., None]], ...] = (
            (Engine, "commit", self._committing),
            (Engine, "rollback", self._rolled_back),
            (Pool, "checkin", self._returned),
        )
        for of, what, heard in watched:
            event.listen(of, what, heard)

        def undo() -> None:
            for of, what, heard in watched:
                event.remove(of, what, heard)

        return undo

    def _rolled_back(self, _: Connection) -> None:
        self._here.reached.clear()

    def _committing(self, connection: Connection) -> None:
        here = self._here
        mine = [step for step, whose in here.reached.items() if whose in (None, id(connection))]
        for step in mine:
            del here.reached[step]
            self.came(step, Edge.BEFORE_COMMIT)
            here.committed.add(step)

    def _returned(self, _connection: Any, _record: Any) -> None:
        committed, self._here.committed = self._here.committed, set()
        for step in committed:
            self.came(step, Edge.AFTER_COMMIT)

    def wrapped(self, step: Step, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, telling when it comes by."""
        if Edge.BEFORE_COMMIT in step.edges:

            @wraps(function)
            def within(*args: Any, **kwargs: Any) -> Any:
                result = function(*args, **kwargs)
                connections = [id(one) for one in args if isinstance(one, Connection)]
                self._here.reached[step.name] = connections[0] if connections else None
                return result

            return within
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def spoken(*args: Any, **kwargs: Any) -> Any:
                self.came(step.name, Edge.ENTRY)
                result = await function(*args, **kwargs)
                self.came(step.name, Edge.RETURN)
                return result

            return spoken

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            self.came(step.name, Edge.ENTRY)
            result = function(*args, **kwargs)
            self.came(step.name, Edge.RETURN)
            return result

        return called


class WrappingFinder(MetaPathFinder):
    """Wraps a module's functions as soon as it is imported, before anybody takes them from it."""

    def __init__(self, wrap: Callable[[ModuleType], None], names: frozenset[str]) -> None:
        self._wrap = wrap
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's own spec, with a loader that wraps afterwards."""
        if fullname not in self._names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _WrappingLoader(spec.loader, self._wrap)
        return spec


class _WrappingLoader(Loader):
    def __init__(self, loader: Loader, wrap: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._wrap = wrap

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._wrap(module)


def owner_of(module: ModuleType, step: Step) -> tuple[Any, str]:
    """The module or class that holds a step's function, and the function's name in it."""
    *classes, name = step.function.split(".")
    owner: Any = module
    for one in classes:
        owner = getattr(owner, one)
    return owner, name


def wrap_steps(module: ModuleType, killer: Killer) -> None:
    """Put the wrapped functions in the place of a module's own."""
    for step in STEPS:
        if step.module == module.__name__:
            owner, name = owner_of(module, step)
            setattr(owner, name, killer.wrapped(step, getattr(owner, name)))


def _skew_eoffice(by: timedelta) -> None:
    from rabta_eoffice import service
    from rabta_eoffice.clock import system_clock

    straight = service.serving

    def skewed() -> datetime:
        return system_clock() + by

    service.serving = lambda settings: straight(settings, skewed)  # type: ignore[assignment,misc]  # the same call, with another clock


def main() -> None:
    """Carry out the orders within the command that the arguments name."""
    document = json.loads(Path(os.environ[ORDERS]).read_text(encoding="utf-8"))
    killer = Killer(document)
    killer.watch_commits()
    names = frozenset(step.module for step in STEPS)
    sys.meta_path.insert(0, WrappingFinder(lambda module: wrap_steps(module, killer), names))
    if document["skew_s"]:
        _skew_eoffice(timedelta(seconds=document["skew_s"]))
    from rabta_deploy.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
