"""Spares messages the room's state, which Synapse would load for each of them.

For a module with `check_event_allowed` or `on_new_event` Synapse fetches every state event of the
room, memberships too, before it asks, and most often is told yes. The
door answers for encrypted messages and the few other types of `class_rules.ORDINARY` without
looking at the state, and for every other message it looks at seven state events; so where it is the
only module that asks, the first are answered at once, and for the rest seven events are loaded.
docs/why/cost-of-a-message.md has what else was tried.

Rests on private members. Where one has moved, nothing is spared and nothing else changes.
"""

import inspect
import logging
from functools import wraps
from typing import Any

from synapse.module_api import EventBase, StateMap
from synapse.module_api.callbacks.third_party_event_rules_callbacks import (
    ThirdPartyEventRulesModuleApiCallbacks as Rules,
)
from synapse.types.state import StateFilter

from rabta_policy.known_room import STATE_NEEDED
from rabta_synapse import class_rules

logger = logging.getLogger(__name__)

_SHAPES = (
    ("check_event_allowed", ["self", "event", "context"]),
    ("on_new_event", ["self", "event_id"]),
)


_LOOKED_AT = StateFilter.from_types(
    [*STATE_NEEDED, *((guarded, "") for guarded in class_rules.UNREDACTABLE)]
)
"""The state that the door's rules on messages read: D4 plain content, D6 redactions."""


class _MessageContext:
    """Stands for an event's context where Synapse asks it for the state to load, and only there."""

    def __init__(self, context: Any) -> None:
        self._context = context

    async def get_prev_state_ids(self) -> StateMap[str]:
        """The ids of the state before the event, of `_LOOKED_AT` alone."""
        found: StateMap[str] = await self._context.get_prev_state_ids(_LOOKED_AT)
        return found


def spare_ordinary_messages() -> bool:
    """Answer for ordinary messages before their room's state is loaded, in this process.

    Returns:
        False when this Synapse is not as tested: then every event takes the long way.
    """
    for name, shape in _SHAPES:
        found = getattr(Rules, name, None)
        if found is None or list(inspect.signature(found).parameters) != shape:
            logger.warning("Every message takes the long way: %s is not as tested", name)
            return False
    _spare_before()
    _spare_after()
    return True


def _spare_before() -> None:
    check = Rules.check_event_allowed

    @wraps(check)
    async def check_event_allowed(
        self: Rules, event: EventBase, context: Any
    ) -> tuple[bool, dict[str, Any] | None]:
        if len(self._check_event_allowed_callbacks) != 1 or event.is_state():
            return await check(self, event, context)
        if event.type in class_rules.ORDINARY:
            return True, None
        narrow: Any = _MessageContext(context)
        return await check(self, event, narrow)

    Rules.check_event_allowed = check_event_allowed  # type: ignore[method-assign] # answers sooner


def _spare_after() -> None:
    tell = Rules.on_new_event

    @wraps(tell)
    async def on_new_event(self: Rules, event_id: str) -> None:
        if len(self._on_new_event_callbacks) == 1:
            event = await self.store.get_event(event_id)
            if not event.is_state():
                return  # The aftermath looks at state events alone.
        await tell(self, event_id)

    Rules.on_new_event = on_new_event  # type: ignore[method-assign] # answers sooner
