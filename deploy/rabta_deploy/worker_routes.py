"""Which process answers which request: Synapse's documented worker endpoints, as nginx reads them.

Nothing here decides about rights. What no line names goes to the main process, which can do all.
The lists are those of Synapse 1.163's page on workers.
"""

from collections.abc import Iterator

from rabta_deploy.worker_config import Plan

ANY = "generic"
"""Any generic worker; the same one for the same caller, who so reads what he wrote."""

BY_ROOM = "generic_by_room"
"""Any generic worker, the same one for the same room: pages of history ask for that."""

MEDIA = "media"
"""A process that answers for media alone."""

_CLIENT = "/_matrix/client/(api/v1|r0|v3|unstable)"

_OF_STREAM = {
    "typing": (rf"\S+ {_CLIENT}/rooms/[^/]+/typing/",),
    "to_device": (rf"\S+ {_CLIENT}/sendToDevice/",),
    "receipts": (rf"\S+ {_CLIENT}/rooms/[^/]+/(receipt/|read_markers$)",),
    "presence": (rf"\S+ {_CLIENT}/presence/",),
    "account_data": (
        rf"\S+ {_CLIENT}/user/[^/]+/account_data/",
        rf"\S+ {_CLIENT}/user/[^/]+/rooms/[^/]+/(account_data|tags)(/|$)",
    ),
    "push_rules": (rf"\S+ {_CLIENT}/pushrules/",),
    "device_lists": (
        rf"\S+ {_CLIENT}/delete_devices$",
        rf"\S+ {_CLIENT}/devices(/|$)",
        rf"\S+ {_CLIENT}/keys/upload",
        rf"\S+ {_CLIENT}/keys/device_signing/upload$",
        rf"\S+ {_CLIENT}/keys/signatures/upload$",
        # Not in Synapse's list: the dehydrated device is a device like the others.
        r"\S+ /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device",
    ),
}

_MEDIA = (
    r"\S+ /_matrix/media/",
    r"\S+ /_matrix/client/v1/media/",
    r"\S+ /_matrix/federation/v1/media/",
    r"\S+ /_synapse/admin/v1/(purge_media_cache|quarantine_media/|media/|users/[^/]+/media)",
    r"\S+ /_synapse/admin/v1/room/[^/]+/media",
)

_BY_ROOM = (rf"GET {_CLIENT}/rooms/[^/]+/messages$",)

_ANY = (
    # Synchronising.
    rf"\S+ {_CLIENT}/(sync|events|initialSync)$",
    rf"\S+ {_CLIENT}/rooms/[^/]+/initialSync$",
    r"\S+ /_matrix/client/unstable/org.matrix.simplified_msc3575/sync$",
    # Between ministries.
    r"\S+ /_matrix/federation/v1/(version|publicRooms)",
    r"\S+ /_matrix/federation/v1/(event|state|state_ids|backfill|get_missing_events)/",
    r"\S+ /_matrix/federation/v1/(query|make_join|make_leave|make_knock|send_knock)/",
    r"\S+ /_matrix/federation/v[12]/(send_join|send_leave|invite)/",
    r"\S+ /_matrix/federation/v1/(event_auth|timestamp_to_event|hierarchy)/",
    r"\S+ /_matrix/federation/v1/(exchange_third_party_invite|user/devices|send)/",
    r"\S+ /_matrix/key/v2/query",
    # Rooms.
    rf"\S+ {_CLIENT}/(createRoom|publicRooms|joined_rooms|search)$",
    rf"\S+ {_CLIENT}/rooms/[^/]+/(joined_members|members|state|aliases)$",
    rf"\S+ {_CLIENT}/rooms/[^/]+/(context|event|redact|send|state)/",
    rf"\S+ {_CLIENT}/rooms/[^/]+/(join|invite|leave|ban|unban|kick)$",
    rf"\S+ {_CLIENT}/(join|knock|directory/room)/",
    r"\S+ /_matrix/client/v1/rooms/[^/]+/(hierarchy|threads|timestamp_to_event)$",
    r"\S+ /_matrix/client/(v1|unstable)/rooms/[^/]+/relations/",
    # Accounts and keys.
    r"\S+ /_matrix/client/versions$",
    rf"\S+ {_CLIENT}/(login|register|register/available|password_policy)$",
    r"\S+ /_matrix/client/v1/register/m.login.registration_token/validity$",
    rf"\S+ {_CLIENT}/account/(3pid|whoami|deactivate)$",
    rf"\S+ {_CLIENT}/(capabilities|notifications|voip/turnServer|user_directory/search)$",
    rf"\S+ {_CLIENT}/(profile|room_keys)/",
    rf"\S+ {_CLIENT}/user/[^/]+/filter(/|$)",
    rf"\S+ {_CLIENT}/keys/(query|changes|claim)$",
)


def routes(plan: Plan) -> Iterator[tuple[str, str]]:
    """Pairs of a pattern over `METHOD /path`, from its start, and the upstream it goes to.

    The first that matches counts; without one it is the main process.
    """
    if plan.media:
        for pattern in _MEDIA:
            yield pattern, MEDIA
    for stream, patterns in _OF_STREAM.items():
        for pattern in patterns:
            (writer,) = plan.writers[stream]
            yield pattern, writer
    for pattern in _BY_ROOM:
        yield pattern, BY_ROOM
    for pattern in _ANY:
        yield pattern, ANY
