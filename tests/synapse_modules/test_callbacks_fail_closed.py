"""What every callback answers when our own code fails: closed, and never content destroyed."""

import inspect
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from network_policy import Seal
from synapse.api.errors import Codes, SynapseError
from synapse.module_api import ModuleApi
from synapse.module_api.errors import ConfigError
from twisted.internet.defer import CancelledError

from rabta_synapse import Door, choke_points, ordinary, private
from rabta_synapse.registration import register

PAGE = Path(__file__).parents[2] / "docs/reference/enforcement-points.md"


class BrokenError(Exception):
    """What the door's own code raises in these tests."""


@pytest.fixture
def callbacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Every callback as Synapse gets it, of a door whose module API always fails."""
    seal = Seal(tmp_path)
    api = Mock(spec=ModuleApi)
    api.server_name = "itt.gov.test"
    api.worker_name = None
    api.get_current_time_msec.return_value = datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000
    registered: dict[str, Any] = {}
    for name in ("register_spam_checker_callbacks", "register_third_party_rules_callbacks"):
        registrar = Mock(side_effect=registered.update)
        registrar.__signature__ = inspect.signature(getattr(ModuleApi, name))
        setattr(api, name, registrar)
    monkeypatch.setattr(private, "whitelist_of", lambda _: {})
    monkeypatch.setattr(choke_points, "stand_in", lambda *_: None)
    monkeypatch.setattr(ordinary, "spare_ordinary_messages", lambda: True)
    config = {"policy_file": str(seal.policy_file), "authority_file": str(seal.authority_file)}
    Door(Door.parse_config(config), api)
    api.is_mine.side_effect = BrokenError
    api.get_room_state.side_effect = BrokenError
    return registered


def event(**fields: Any) -> Mock:
    """An event whose every other question raises."""
    return Mock(**{"type": "m.room.member", "content": {"membership": "join"}, **fields})


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "user_may_invite": ("@a:itt.gov.test", "@b:fin.gov.test", "!r"),
    "user_may_join_room": ("@a:itt.gov.test", "!r", True),
    "user_may_publish_room": ("@a:itt.gov.test", "!r"),
    "federated_user_may_invite": (None,),
    "user_may_create_room": ("@a:itt.gov.test", None),
    "user_may_create_room_alias": ("@a:itt.gov.test", None),
    "user_may_send_3pid_invite": ("@a:itt.gov.test", "email", "a@b.test", "!r"),
}
"""Arguments that make the callback's own code fail, or refuse."""


@pytest.mark.parametrize("name", ARGUMENTS)
async def test_a_user_may_callback_that_fails_answers_forbidden(
    callbacks: dict[str, Any], name: str
) -> None:
    code, fields = await callbacks[name](*ARGUMENTS[name])
    assert code is Codes.FORBIDDEN
    assert fields["org.rabta.reason"] in {"door-failed", "no-policy", "address-not-a-server"}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("check_event_for_spam", (event(),)),
        ("check_event_allowed", (event(is_state=Mock(side_effect=BrokenError)), {})),
        ("on_create_room", (None, {}, False)),
    ],
)
async def test_where_a_code_would_destroy_or_cannot_be_returned_a_failure_raises(
    callbacks: dict[str, Any], name: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(SynapseError) as raised:
        await callbacks[name](*arguments)
    assert raised.value.code == 403
    assert raised.value.error_dict(None)["org.rabta.reason"] == "door-failed"


@pytest.mark.parametrize(
    ("name", "arguments", "closed"),
    [
        ("check_threepid_can_be_invited", ("email", "a@b.test", {}), False),
        ("check_visibility_can_be_modified", ("!r", {"x": None}, "public"), False),
        ("check_username_for_spam", ({}, "@a:itt.gov.test"), True),
    ],
)
async def test_the_hooks_that_speak_in_booleans_fail_to_their_closed_side(
    callbacks: dict[str, Any], name: str, arguments: tuple[Any, ...], closed: bool
) -> None:
    assert await callbacks[name](*arguments) is closed


async def test_a_cancelled_request_stays_cancelled(callbacks: dict[str, Any]) -> None:
    cancelled = event(is_state=Mock(side_effect=CancelledError))
    with pytest.raises(CancelledError):
        await callbacks["check_event_allowed"](cancelled, {})


def test_every_callback_has_its_written_answer(callbacks: dict[str, Any]) -> None:
    text = PAGE.read_text()
    assert [name for name in callbacks if f"| `{name}` |" not in text] == []


def test_a_hook_this_synapse_lacks_stops_the_start() -> None:
    def registrar(check_event_allowed: object = None) -> None: ...

    with pytest.raises(ConfigError, match="accept_make_join, on_upgrade_room"):
        register(registrar, {"on_upgrade_room": print, "accept_make_join": print})


def test_a_choke_point_of_another_shape_stops_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def moved(self: object, request: object) -> str: ...

    monkeypatch.setattr(choke_points.Authenticator, "authenticate_request", moved)
    with pytest.raises(ConfigError, match=r"Authenticator\.authenticate_request"):
        choke_points.stand_in(Mock(), Mock())


def test_an_untested_synapse_is_refused_unless_the_perilous_setting_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(private, "TESTED_SYNAPSE", ("1.0.0",))
    with pytest.raises(ConfigError, match="tested with Synapse"):
        private.require_tested_synapse(perilously_run_on_untested_synapse=False)
    private.require_tested_synapse(perilously_run_on_untested_synapse=True)
