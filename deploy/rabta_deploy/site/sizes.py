"""What a size means: how many processes, and how much memory and how many cores each may take."""

from dataclasses import dataclass
from typing import Literal

from rabta_deploy.site.description import Site
from rabta_deploy.worker_config import Plan

Size = Literal["trial", "ministry", "large"]


@dataclass(frozen=True, slots=True)
class Share:
    """What one program may take: MiB of memory, cores."""

    memory_mib: int
    cpus: float


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a site of a size is made of.

    Attributes:
        plan: The Synapse processes.
        synapse: What each of them may take.
        database: What PostgreSQL may take; a quarter of it is its cache.
        small: What every other program may take.
        connections: To the database, from each Synapse process.
    """

    plan: Plan
    synapse: Share
    database: Share
    small: Share
    connections: int


SIZES: dict[Size, Sizing] = {
    # A section trying it, some dozens of people.
    "trial": Sizing(
        plan=Plan(media=("media1",)),
        synapse=Share(1024, 1),
        database=Share(1024, 1),
        small=Share(512, 0.5),
        connections=5,
    ),
    # A division of some thousand.
    "ministry": Sizing(
        plan=Plan(
            generic=("generic1", "generic2", "generic3", "generic4"),
            federation_senders=("federation_sender1", "federation_sender2"),
            event_persisters=("event_persister1", "event_persister2"),
            media=("media1",),
            background="background1",
        ),
        synapse=Share(2048, 1),
        database=Share(8192, 4),
        small=Share(1024, 1),
        connections=8,
    ),
    # A department of some ten thousand.
    "large": Sizing(
        plan=Plan(
            generic=tuple(f"generic{number}" for number in range(1, 9)),
            federation_senders=tuple(f"federation_sender{number}" for number in range(1, 5)),
            event_persisters=tuple(f"event_persister{number}" for number in range(1, 5)),
            media=("media1", "media2"),
            background="background1",
        ),
        synapse=Share(4096, 1),
        database=Share(32_768, 12),
        small=Share(2048, 2),
        connections=10,
    ),
}


def plan_of(site: Site) -> Plan:
    """The processes of a site: its own plan, or its size's."""
    return site.plan or SIZES[site.size].plan
