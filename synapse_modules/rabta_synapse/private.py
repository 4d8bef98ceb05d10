"""The one place where the door touches members of Synapse that its module API does not offer.

Each is checked at start by `self_test`; a Synapse where one has moved does not start.
Nothing here decides: it reads and hands over.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from synapse.federation.transport.server._base import Authenticator
from synapse.logging.context import current_context
from synapse.module_api import EventBase, LoggingTransaction, ModuleApi, StateMap
from synapse.module_api.errors import ConfigError
from synapse.types.state import StateFilter

TESTED_SYNAPSE = ("1.163.2",)
"""The releases whose private members were read and whose behaviour the tests ran against."""

_PROBE = "probe.rabta.invalid"


@dataclass(frozen=True, slots=True)
class FederationRequest:
    """The verified federation request the current code runs for.

    Attributes:
        origin: The server that signed it.
        path: The path of its URL.
    """

    origin: str
    path: str


def require_tested_synapse(*, perilously_run_on_untested_synapse: bool) -> None:
    """Refuse a release of Synapse the door was not tested with.

    Raises:
        ConfigError: The release is not in `TESTED_SYNAPSE`, unless the perilous setting says so.
    """
    running = version("matrix-synapse")
    if running not in TESTED_SYNAPSE and not perilously_run_on_untested_synapse:
        raise ConfigError(
            f"rabta_synapse.Door was tested with Synapse {', '.join(TESTED_SYNAPSE)}, not with "
            f"{running}: install a tested release, or read docs/reference/door-settings.md on "
            "perilously_run_on_untested_synapse"
        )


def whitelist_of(api: ModuleApi) -> dict[str, bool]:
    """The dict behind `federation_domain_whitelist`, proven to be the one Synapse consults.

    Changed in place it takes effect at once for the inbound authenticator, the outbound
    client, the sender and the media repository: they hold this object, not a copy.

    Returns:
        The dict, empty: closed.

    Raises:
        ConfigError: The setting is absent or holds names, or Synapse consults another object.
    """
    hs = api._hs  # noqa: SLF001 - the whitelist has no public door
    whitelist = hs.config.federation.federation_domain_whitelist
    if whitelist is None or whitelist:
        raise ConfigError(
            "rabta_synapse.Door: homeserver.yaml must say `federation_domain_whitelist: []`; "
            "the signed policy alone fills it"
        )
    consulted = {
        "the inbound authenticator": Authenticator(hs).federation_domain_whitelist,
        "the outbound client": (
            hs.get_federation_http_client().hs.config.federation.federation_domain_whitelist
        ),
    }
    if hs.config.media.can_load_media_repo:
        consulted["the media repository"] = hs.get_media_repository().federation_domain_whitelist
    strangers = [who for who, held in consulted.items() if held is not whitelist]
    allowed = hs.config.federation.is_domain_allowed_according_to_federation_whitelist
    whitelist[_PROBE] = True
    opened = allowed(_PROBE)
    del whitelist[_PROBE]
    if strangers or not opened or allowed(_PROBE):
        raise ConfigError(
            "rabta_synapse.Door: this Synapse does not consult the federation whitelist where "
            f"expected ({', '.join(strangers) or 'the sender'}): the door cannot close it"
        )
    return whitelist


def federation_request() -> FederationRequest | None:
    """The federation request that runs now, or None outside one (client, background, pull).

    Read from Synapse's logging context, where the authenticator writes the verified origin.
    """
    request = current_context().request
    if request is None or request.requester is None:
        return None
    if not request.url.startswith("/_matrix/federation/"):
        return None
    return FederationRequest(origin=str(request.requester), path=request.url.partition("?")[0])


async def state_so_far(
    api: ModuleApi, room_id: str, types: Iterable[tuple[str, str | None]]
) -> tuple[StateMap[EventBase], bool]:
    """A room's state as we hold it, and whether that is all of it.

    After a join the members of other servers come later, from another server; Synapse's module
    API waits for them, and where that server does not send them, for ever.
    """
    hs = api._hs  # noqa: SLF001 - the module API has no way to ask without waiting
    state = await hs.get_storage_controllers().state.get_current_state(
        room_id, StateFilter.from_types(types), await_full_state=False
    )
    # Synapse's own mypy plugin gives the cache descriptor its type.
    held: Any = hs.get_datastores().main
    return state, not await held.is_partial_state_room(room_id)


async def rooms_of_ours(api: ModuleApi) -> list[str]:
    """The rooms with a joined local user, in a fixed order.

    The table is Synapse's own; the query is checked by the tests of every release.
    """
    return await api.run_db_interaction("rabta_rooms_of_ours", _rooms_of_ours)


def _rooms_of_ours(txn: LoggingTransaction) -> list[str]:
    txn.execute(
        "SELECT DISTINCT room_id FROM local_current_membership"
        " WHERE membership = 'join' ORDER BY room_id"
    )
    return [str(row[0]) for row in txn.fetchall()]
