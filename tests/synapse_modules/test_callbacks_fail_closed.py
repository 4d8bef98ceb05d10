"""What every callback answers when our own code fails: closed, and never content destroyed."""

import inspect
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import AsyncMock, Mock

import pytest
from network_policy import Seal
from synapse.api.errors import Codes, SynapseError
from synapse.module_api import ModuleApi
from synapse.module_api.errors import ConfigError
from twisted.internet.defer import CancelledError

from rabta_synapse import Door, choke_points, ordinary, private
from rabta_synapse.audit import LogTrail
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


async def test_an_act_that_the_audit_cannot_keep_is_refused(
    callbacks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal of an address would have its own code; without its line it has the door's."""
    name, full = "user_may_send_3pid_invite", Mock(side_effect=OSError("no space left"))
    _, fields = await callbacks[name](*ARGUMENTS[name])
    assert fields["org.rabta.reason"] == "address-not-a-server"
    monkeypatch.setattr(LogTrail, "append", full)
    code, fields = await callbacks[name](*ARGUMENTS[name])
    assert (code, fields["org.rabta.reason"]) == (Codes.FORBIDDEN, "door-failed")
    officer = Mock()
    officer.user.to_string.return_value = "@a:itt.gov.test"
    with pytest.raises(SynapseError) as raised:
        await callbacks["on_create_room"](officer, {}, False)
    assert raised.value.error_dict(None)["org.rabta.reason"] == "door-failed"
    assert full.call_count == 2


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


class ChokePoints(NamedTuple):
    """What the guard stands before, and whether it was reached."""

    verify: AsyncMock
    accessible: AsyncMock
    send: AsyncMock


@pytest.fixture
def choked(monkeypatch: pytest.MonkeyPatch) -> ChokePoints:
    """Synapse's choke points with recorders behind them, and a guard that always fails."""
    reached = ChokePoints(AsyncMock(return_value="o"), AsyncMock(return_value=True), AsyncMock())

    async def authenticate_request(self: object, request: object, content: object) -> object:
        del self
        return await reached.verify(request, content)

    async def _is_local_room_accessible(
        self: object, room_id: str, requester: str | None, origin: str | None = None
    ) -> object:
        del self
        return await reached.accessible(room_id, requester, origin)

    async def send_new_transaction(
        self: object, destination: str, pdus: list[Any], edus: list[Any]
    ) -> object:
        del self
        return await reached.send(destination, pdus, edus)

    for owner, made in (
        (choke_points.Authenticator, authenticate_request),
        (choke_points.RoomSummaryHandler, _is_local_room_accessible),
        (choke_points.TransactionManager, send_new_transaction),
    ):
        monkeypatch.setattr(owner, made.__name__, made)
    guard = Mock(inbound=AsyncMock(side_effect=BrokenError))
    guard.shows = AsyncMock(side_effect=BrokenError)
    delivery = Mock(passes=Mock(side_effect=BrokenError), attempt=Mock(side_effect=OSError))
    choke_points.stand_in(guard, delivery)
    return reached


@pytest.mark.usefixtures("choked")
async def test_a_request_is_refused_for_now_when_the_guard_fails() -> None:
    ask = choke_points.Authenticator.authenticate_request
    with pytest.raises(SynapseError) as raised:
        await ask(Mock(), Mock(path=b"/_matrix/federation/v1/send/1", args={}), {})
    assert raised.value.code == 503


async def test_a_room_is_shown_to_nobody_outside_when_the_guard_fails(choked: ChokePoints) -> None:
    shown = choke_points.RoomSummaryHandler._is_local_room_accessible
    with pytest.raises(SynapseError) as raised:
        await shown(Mock(), "!r", None, "fin.gov.test")
    assert raised.value.code == 503
    # People of ours do not pass the guard, and what Synapse hides stays hidden.
    assert await shown(Mock(), "!r", "@a:itt.gov.test") is True
    choked.accessible.return_value = False
    assert await shown(Mock(), "!r", None, "fin.gov.test") is False


@pytest.mark.parametrize(
    ("pdus", "edus", "fault"), [([Mock()], [], OSError), ([], [Mock()], BrokenError)]
)
async def test_nothing_leaves_when_it_cannot_be_judged_or_audited(
    choked: ChokePoints, pdus: list[Any], edus: list[Any], fault: type[Exception]
) -> None:
    send = choke_points.TransactionManager.send_new_transaction
    with pytest.raises(fault):
        await send(Mock(), "fin.gov.test", pdus, edus)
    choked.send.assert_not_called()


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
