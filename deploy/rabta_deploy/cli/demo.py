"""`rabta demo`: two ministries, an e-Office and its bridge on this machine, from one command."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import click

from rabta_deploy.demo_screen import JsonScreen, RichScreen, Screen
from rabta_deploy.fault import YardError
from rabta_deploy.network import Network
from rabta_deploy.process import ProcessError, until
from rabta_deploy.state import locked
from rabta_deploy.story import play
from rabta_policy import PolicyError

_FOREVER_S = float("inf")
_LOOK_EVERY_S = 0.5


def utc_now() -> datetime:
    """The yard's clock."""
    return datetime.now(UTC)  # noqa: TID251 - the one clock, injected into everything below


@click.command()
@click.option(
    "--state",
    default=".demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the network lives between two starts.",
)
@click.option("--once", is_flag=True, help="Play the story, and end: 0 only if every step is seen.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable lines instead of a screen.")
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="USE=PORT",
    help="A port of your choice, e.g. page=8080 or itt.gov.test/client=8008. Repeatable.",
)
def demo(state: Path, *, once: bool, as_json: bool, ports: tuple[str, ...]) -> None:
    """Bring up two ministries, e-Office and the bridge; stay up until Ctrl-C.

    Everything listens on loopback, on free ports, and is found again in --state next time.
    """
    screen: Screen = JsonScreen() if as_json else RichScreen()
    given = _ports(ports)
    try:
        with _ended_by_signals(), locked(state):
            _run(Network(state, clock=utc_now, given_ports=given, report=screen.step), screen, once)
    except KeyboardInterrupt:
        screen.stopped()
        sys.exit(130 if once else 0)
    except PolicyError as error:
        text = "\n".join(str(fault) for fault in error.faults)
        screen.failed(YardError(str(error.reason), text, "mend config/demo-policy.yaml"))
        sys.exit(1)
    except YardError as error:
        screen.failed(error)
        sys.exit(1)


def _run(network: Network, screen: Screen, once: bool) -> None:
    with screen.working():
        network.up()
    try:
        screen.ready(network)
        if once:
            asyncio.run(play(network, screen.seen))
        else:
            until(network.ended, within_s=_FOREVER_S, every_s=_LOOK_EVERY_S)
            _complain(network)
    finally:
        screen.step("stopping")
        network.down()


def _complain(network: Network) -> None:
    child = network.ended()[0]
    raise ProcessError(
        "process-ended",
        f"{child.name} ended by itself with code {child.exit_code}; all is stopped.",
        f"read {child.log_file}, and start again",
        log_tail=child.log_tail(),
    )


def _ports(given: tuple[str, ...]) -> dict[str, int]:
    ports = {}
    for pair in given:
        use, _, number = pair.partition("=")
        if not number.isdecimal() or not 0 < int(number) < 2**16:
            raise click.BadParameter(f"{pair}: write USE=PORT, for example page=8080")
        ports[use] = int(number)
    return ports


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does: everything is stopped on the way out."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        # asyncio ends its tasks in order on Ctrl-C, and on nothing else.
        signal.raise_signal(signal.SIGINT)

    before = {
        # A shell starts what runs in the background with Ctrl-C ignored.
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, interrupt),
        signal.SIGHUP: signal.signal(signal.SIGHUP, interrupt),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
