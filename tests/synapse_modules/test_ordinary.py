"""Messages do not wait for the state of their room that no rule looks at; state does."""

from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from synapse.module_api.callbacks.third_party_event_rules_callbacks import (
    ThirdPartyEventRulesModuleApiCallbacks as Rules,
)
from synapse.types import StateMap
from synapse.types.state import StateFilter

from rabta_synapse import class_rules, ordinary


class StateLoadedError(Exception):
    """Raised where Synapse loads the state of the room."""


@pytest.fixture(autouse=True)
def _spared(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("check_event_allowed", "on_new_event"):
        monkeypatch.setattr(Rules, name, getattr(Rules, name))
    assert ordinary.spare_ordinary_messages()


def rules(callbacks: int) -> Any:
    """Synapse's own dispatcher with so many modules, whose database must not be asked."""
    made = Rules.__new__(Rules)
    made._check_event_allowed_callbacks = [AsyncMock(return_value=(True, None))] * callbacks
    made._on_new_event_callbacks = [AsyncMock()] * callbacks
    made._storage_controllers = Mock()
    made._storage_controllers.state.get_current_state = AsyncMock(side_effect=StateLoadedError)
    return made


def event(event_type: str, *, state: bool = False) -> Mock:
    return Mock(type=event_type, is_state=Mock(return_value=state))


CONTEXT = Mock(get_prev_state_ids=AsyncMock(side_effect=StateLoadedError))


@pytest.mark.parametrize("event_type", sorted(class_rules.ORDINARY))
async def test_an_ordinary_message_is_allowed_without_the_state_of_its_room(
    event_type: str,
) -> None:
    assert await rules(1).check_event_allowed(event(event_type), CONTEXT) == (True, None)


STATE_IDS = {
    ("m.room.create", ""): "$create",
    ("m.room.encryption", ""): "$encryption",
    ("m.room.server_acl", ""): "$acl",
    ("m.room.member", "@amna:itt.gov.test"): "$member",
    ("m.room.topic", ""): "$topic",
}


@pytest.mark.parametrize("event_type", ["m.room.message", "m.room.redaction", "m.sticker"])
async def test_for_another_message_only_the_state_that_a_rule_looks_at_is_loaded(
    event_type: str,
) -> None:
    async def prev_state_ids(state_filter: StateFilter) -> StateMap[str]:
        return state_filter.filter_state(STATE_IDS)

    asked = rules(1)
    asked.store = Mock(get_events=AsyncMock(return_value={}))
    context = Mock(get_prev_state_ids=prev_state_ids)
    assert await asked.check_event_allowed(event(event_type), context) == (True, None)
    (loaded,) = asked.store.get_events.call_args.args
    assert sorted(loaded) == ["$acl", "$create", "$encryption"]
    asked._check_event_allowed_callbacks[0].assert_awaited_once()


async def test_a_state_event_with_the_type_of_a_message_waits_for_the_state() -> None:
    with pytest.raises(StateLoadedError):
        await rules(1).check_event_allowed(event("m.room.encrypted", state=True), CONTEXT)


async def test_another_module_is_asked_about_every_message() -> None:
    with pytest.raises(StateLoadedError):
        await rules(2).check_event_allowed(event("m.room.encrypted"), CONTEXT)


@pytest.mark.parametrize(("state", "callbacks"), [(True, 1), (False, 2)])
async def test_state_events_and_other_modules_are_told_afterwards(
    state: bool, callbacks: int
) -> None:
    told = rules(callbacks)
    told.store = Mock(get_event=AsyncMock(return_value=event("m.room.topic", state=state)))
    with pytest.raises(StateLoadedError):
        await told.on_new_event("$event")


async def test_a_message_is_not_followed_by_a_look_at_the_state() -> None:
    told = rules(1)
    told.store = Mock(get_event=AsyncMock(return_value=event("m.room.encrypted")))
    await told.on_new_event("$event")
    told._storage_controllers.state.get_current_state.assert_not_called()


def test_a_synapse_of_another_shape_takes_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def moved(self: object, event: object) -> None: ...

    monkeypatch.setattr(Rules, "check_event_allowed", moved)
    assert ordinary.spare_ordinary_messages() is False
    assert Rules.check_event_allowed is moved
