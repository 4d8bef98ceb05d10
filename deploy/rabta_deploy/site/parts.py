"""All programs of a site, in the order in which they start."""

from collections.abc import Mapping

from rabta_deploy.site import (
    homeserver_part,
    monitoring,
    outward_parts,
    records_part,
    small_parts,
    staff_part,
)
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import Layout, ports
from rabta_deploy.site.workload import Workload


def workloads(site: Site, layout: Layout) -> tuple[Workload, ...]:
    """The programs of a site. Nothing is read and nothing written: the same in, the same out."""
    at = ports(site)
    found = [
        *([small_parts.postgres(site, layout, at)] if site.database.kind == "managed" else []),
        small_parts.redis(site, layout, at),
        *homeserver_part.workloads(site, layout, at),
        small_parts.nginx(site, layout, at),
        records_part.workload(site, layout, at),
        *_beside(site, layout, at),
    ]
    if site.monitoring is not None:
        found += monitoring.workloads(site, layout, at, found)
    return tuple(found)


def _beside(site: Site, layout: Layout, at: Mapping[str, int]) -> list[Workload]:
    found = []
    if site.federation is not None:
        found.append(small_parts.gateway(site, layout, at, site.federation))
    if site.staff is not None:
        found.append(staff_part.workload(site, layout, at, site.staff))
    if site.eoffice is not None:
        found.append(small_parts.bridge(site, layout, at))
    if site.archive is not None:
        found.append(records_part.archiver(site, layout, at, site.archive))
    if site.calls is not None:
        found.append(outward_parts.coturn(site, layout, at, site.calls))
    if site.push is not None:
        found.append(outward_parts.sygnal(site, layout, at, site.push))
    return found


def in_order(parts: tuple[Workload, ...]) -> tuple[tuple[Workload, ...], ...]:
    """Groups of programs; those of one group may start together, after those of the one before.

    Raises:
        LookupError: Some wait for each other, or for one that is not there.
    """
    waiting = list(parts)
    done: set[str] = set()
    groups = []
    while waiting:
        ready = tuple(part for part in waiting if set(part.after) <= done)
        if not ready:
            raise LookupError(f"never ready: {', '.join(part.name for part in waiting)}")
        groups.append(ready)
        done |= {part.name for part in ready}
        waiting = [part for part in waiting if part.name not in done]
    return tuple(groups)
