"""What the demo shows: to a person where to click and who to be, to a program JSON lines."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from rabta_deploy.demo_screen import JsonScreen, RichScreen
from rabta_deploy.fault import YardError
from rabta_deploy.network import Network
from rabta_deploy.story import Seen

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """A network that was never started: what it would be is known before."""
    return Network(tmp_path / "state", clock=lambda: NOW)


def test_a_person_is_told_where_to_click_and_who_to_be_and_no_password(network: Network) -> None:
    secret = network.accounts["p-10040"].password
    paper = io.StringIO()

    RichScreen(Console(file=paper, width=100)).ready(network)

    shown = paper.getvalue()
    for place in (network.office.eoffice_url, network.page_url):
        assert place in shown
    for account in network.accounts.values():
        assert account.user_id in shown
    assert "Deputy Secretary (IT) (look after)" in shown
    assert f"{network.home}/accounts/USER@SERVER/password" in shown
    assert secret not in shown


def test_the_table_fits_a_narrow_terminal(network: Network) -> None:
    paper = io.StringIO()

    RichScreen(Console(file=paper, width=80)).ready(network)

    table = [line for line in paper.getvalue().splitlines() if line.startswith(("│", "┃"))]
    assert table
    assert max(len(line) for line in table) <= 80


def test_a_program_gets_the_network_on_output_and_progress_on_error(
    network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = JsonScreen()

    screen.step("starting")
    screen.ready(network)
    screen.seen(Seen("A card came", "!room", 0.5))
    screen.failed(YardError("port-taken", "Taken: 1.", "stop it"))

    told = capsys.readouterr()
    described, seen = [json.loads(line) for line in told.out.splitlines()]
    assert described == network.description()
    assert seen == {"seen": "A card came", "detail": "!room", "seconds": 0.5}
    assert [json.loads(line) for line in told.err.splitlines()] == [
        {"step": "starting"},
        {"error": "port-taken", "text": "Taken: 1.", "cure": "stop it"},
    ]


def test_the_description_names_files_and_holds_no_secret(network: Network) -> None:
    passwords = [account.password for account in network.accounts.values()]

    text = json.dumps(network.description())

    assert [password for password in passwords if password in text] == []


def test_the_same_state_describes_the_same_network(network: Network) -> None:
    again = Network(network.home, clock=lambda: NOW)

    assert again.description() == network.description()
    assert again.policy_document() == network.policy_document()
