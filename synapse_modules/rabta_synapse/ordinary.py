"""Spares ordinary messages the room's state, which Synapse would load for each of them.

For a module with `check_event_allowed` or `on_new_event` Synapse fetches every state event of the
room, memberships too, before it asks: in a room of hundreds that costs more than the message. The
door answers for encrypted messages and the few other types of `class_rules.ORDINARY` without
looking at the state, so where it is the only module that asks, the same answer is given at once.

Rests on private members. Where one has moved, nothing is spared and nothing else changes.
"""

import inspect
import logging
from functools import wraps
from typing import Any

from synapse.module_api import EventBase
from synapse.module_api.callbacks.third_party_event_rules_callbacks import (
    ThirdPartyEventRulesModuleApiCallbacks as Rules,
)

from rabta_synapse import class_rules

logger = logging.getLogger(__name__)

_SHAPES = (
    ("check_event_allowed", ["self", "event", "context"]),
    ("on_new_event", ["self", "event_id"]),
)


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
        alone = len(self._check_event_allowed_callbacks) == 1
        if alone and event.type in class_rules.ORDINARY and not event.is_state():
            return True, None
        return await check(self, event, context)

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
