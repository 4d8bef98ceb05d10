"""What the person, or the program, that started the demo sees of it."""

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from typing import Protocol, TextIO

from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from rich.table import Table
from rich.text import Text

from rabta_deploy.fault import YardError
from rabta_deploy.network import Network
from rabta_deploy.story import Seen


class Screen(Protocol):
    """Told of everything that happens, in order."""

    def step(self, text: str) -> None:
        """Something is being done."""

    def working(self) -> AbstractContextManager[None]:
        """Steps follow, for as long as the context lasts."""

    def ready(self, network: Network) -> None:
        """The network is up."""

    def seen(self, step: Seen) -> None:
        """A step of the story was seen."""

    def failed(self, error: YardError) -> None:
        """It came to an end that nobody wanted."""

    def stopped(self) -> None:
        """It was stopped, and nothing runs any more."""


class JsonScreen:
    """For programs. Standard output: the content of `network.json` as one line, then the story.

    Progress and errors go to standard error. Every line is a JSON object.
    """

    def step(self, text: str) -> None:
        """`{"step": ...}` on standard error."""
        _line(sys.stderr, {"step": text})

    def working(self) -> AbstractContextManager[None]:
        """Nothing to draw."""
        return nullcontext()

    def ready(self, network: Network) -> None:
        """The description of the network, on standard output."""
        _line(sys.stdout, network.description())

    def seen(self, step: Seen) -> None:
        """`{"seen": ..., "detail": ..., "seconds": ...}` on standard output."""
        _line(sys.stdout, asdict(step))

    def failed(self, error: YardError) -> None:
        """`{"error": reason, "text": ..., "cure": ...}` on standard error."""
        _line(sys.stderr, {"error": error.reason, "text": error.text, "cure": error.cure})

    def stopped(self) -> None:
        """`{"step": "stopped"}` on standard error."""
        self.step("stopped")


class RichScreen:
    """For people."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._status: Status | None = None

    def step(self, text: str) -> None:
        """A spinner's words on a terminal, a line elsewhere."""
        if self._status and self._console.is_terminal:
            self._status.update(f"{text} ...")
        else:
            self._console.print(f"... {text}", markup=False)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Show a spinner."""
        with self._console.status("starting ...") as self._status:
            yield
        self._status = None

    def ready(self, network: Network) -> None:
        """Where to click and who to be."""
        self._console.print(_places(network))
        self._console.print(_people(network))
        self._console.print(_hint(network), soft_wrap=True)

    def seen(self, step: Seen) -> None:
        """One line for each step."""
        line = Text.assemble(("  seen  ", "bold green"), step.seen, (f"  {step.detail}", "dim"))
        self._console.print(line, soft_wrap=True)

    def failed(self, error: YardError) -> None:
        """Words and a cure."""
        told = Text(str(error))
        Console(stderr=True).print(Panel(told, title="The demo stopped", border_style="red"))

    def stopped(self) -> None:
        """One word."""
        self._console.print("Stopped.")


def _places(network: Network) -> Table:
    table = Table(title="Where to click", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("e-Office", network.office.eoffice_url)
    table.add_row("Officer's page (chat)", network.page_url)
    for name, ministry in network.ministries.items():
        table.add_row(f"{name}, for any client", ministry.homeserver.client_url)
    return table


def _people(network: Network) -> Table:
    table = Table(title="Who to be", title_justify="left")
    table.add_column("Officer")
    table.add_column("Post")
    table.add_column("Matrix user", no_wrap=True)
    table.add_column("e-Office", no_wrap=True)
    for person_id, account in network.accounts.items():
        posts = [
            f"{network.who.posts[charge.post_id].designation}"
            f"{' (look after)' if charge.kind == 'look_after' else ''}"
            for charge in network.who.charges
            if charge.person_id == person_id and charge.in_force(network.clock())
        ]
        name = network.who.persons[person_id].name
        table.add_row(name, "\n".join(posts), account.user_id, person_id)
    return table


def _hint(network: Network) -> Text:
    return Text(
        "Each one's password, for chat and e-Office, and recovery key, for chat, are in\n"
        f"{network.home}/accounts/USER@SERVER/password and recovery-key.\n"
        "Put a file up in e-Office as the section officer; read its card on the officer's page\n"
        "as the deputy secretary, write approve, and confirm as the bridge asks.\n"
        f"All of this for programs: {network.network_file}\n"
        "Ctrl-C stops everything."
    )


def _line(stream: TextIO, document: object) -> None:
    stream.write(json.dumps(document, ensure_ascii=False) + "\n")
    stream.flush()
