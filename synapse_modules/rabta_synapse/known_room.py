"""A room's state as the door's files name it; how it is read stands with the judge."""

from rabta_policy.known_room import (
    ACL,
    CREATE,
    ENCRYPTION,
    LABEL,
    POWER_LEVELS,
    STATE_NEEDED,
    STATE_WITH_MEMBERS,
    KnownRoom,
    know,
    owner_of,
    people_of,
    residents,
    server_of,
    strictest,
)

__all__ = [
    "ACL",
    "CREATE",
    "ENCRYPTION",
    "LABEL",
    "POWER_LEVELS",
    "STATE_NEEDED",
    "STATE_WITH_MEMBERS",
    "KnownRoom",
    "know",
    "owner_of",
    "people_of",
    "residents",
    "server_of",
    "strictest",
]
