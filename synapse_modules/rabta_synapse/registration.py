"""Hands the callbacks to Synapse, after checking that this Synapse has a hook for each.

Hook names differ between releases; a hook that is not there would be a path that nobody judges.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from synapse.module_api.errors import ConfigError

Callbacks = Mapping[str, Callable[..., Any]]


def register(registrar: Callable[..., None], callbacks: Callbacks) -> None:
    """Register callbacks with one `register_*_callbacks` method of the module API.

    Raises:
        ConfigError: This Synapse lacks a hook the door relies on; all are named at once.
    """
    offered = inspect.signature(registrar).parameters
    missing = sorted(set(callbacks) - set(offered))
    if missing:
        raise ConfigError(
            f"rabta_synapse.Door: this Synapse has no hook {', '.join(missing)}: install a "
            "release the door was tested with"
        )
    registrar(**callbacks)
