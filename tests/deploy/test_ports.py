"""Ports are free ones, remembered in the state, and a taken one is told in words."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rabta_deploy.ports import PortTakenError, free_port, port_answers, port_free, require_free
from rabta_deploy.state import StateError, locked, remembered_ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_port_is_told_with_its_use_its_holder_and_a_cure(taken: int) -> None:
    with pytest.raises(PortTakenError) as refused:
        require_free({"e-Office": taken, "bridge": free_port()})

    assert refused.value.reason == "port-taken"
    assert f"port {taken} (e-Office) by " in refused.value.text
    assert f"(pid {os.getpid()})" in refused.value.text
    assert "stop the process" in refused.value.cure


def test_a_listening_port_is_not_free_and_answers(taken: int) -> None:
    assert (port_free(taken), port_answers(taken)) == (False, True)


def test_a_chosen_port_is_free_and_not_among_the_taken_ones() -> None:
    first = free_port()

    assert free_port(taken=[first]) != first
    assert (port_free(first), port_answers(first)) == (True, False)


def test_ports_are_the_same_at_the_next_start_and_given_ones_win(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"

    first = remembered_ports(file, ["page", "bridge"])
    second = remembered_ports(file, ["page", "bridge", "e-Office"], given={"page": 8008})

    assert second["bridge"] == first["bridge"]
    assert second["page"] == 8008
    assert len(set(second.values())) == 3
    assert json.loads(file.read_text()) == second


def test_a_port_for_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError) as refused:
        remembered_ports(tmp_path / "ports.json", ["page"], given={"pge": 8008})

    assert (refused.value.reason, "pge" in refused.value.text) == ("unknown-port-use", True)


@pytest.mark.parametrize("content", ["", "[]", '{"page": "many"}', "null"])
def test_a_spoilt_list_of_ports_is_refused_with_a_cure(tmp_path: Path, content: str) -> None:
    file = tmp_path / "ports.json"
    file.write_text(content)

    with pytest.raises(StateError) as refused:
        remembered_ports(file, ["page"])

    assert refused.value.reason == "state-unreadable"
    assert str(file) in refused.value.text


def test_a_state_directory_is_held_by_one_network_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path / "state"):
        with pytest.raises(StateError) as refused, locked(tmp_path / "state"):
            pytest.fail("two networks hold one state")
        assert refused.value.reason == "state-in-use"
    with locked(tmp_path / "state"):
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_state_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")

    with pytest.raises(StateError) as refused, locked(tmp_path / "state"):
        pytest.fail("a file held a state")

    assert refused.value.reason == "state-unusable"
