"""Filling a template: servers, serial and dates, on plain values; the rest stays as written."""

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from rabta_policy.faults import Fault, PolicyError
from rabta_policy.moments import write_moment, write_span
from rabta_policy.reading import Plain
from rabta_policy.registry import Server


def fill_servers(document: Mapping[str, Any], servers: Mapping[str, Server]) -> Plain:
    """Put addresses, CAs and keys into a policy.

    Args:
        document: Plain values from `load_document`.
        servers: By organisation code; each replaces that organisation's `server`.

    Returns:
        A new document; the one given stays as it is.

    Raises:
        PolicyError: `policy-malformed`, for codes that the registry does not name.
    """
    filled = deepcopy(dict(document))
    entries = {entry["code"]: entry for entry in filled.get("organisations", ())}
    unknown = [code for code in servers if code not in entries]
    if unknown:
        raise PolicyError(
            Fault("organisations", f"have no {code}.", "Add it to the template.")
            for code in unknown
        )
    for code, server in servers.items():
        entries[code]["server"] = server.model_dump(mode="json", exclude_none=True)
    return filled


def reissue(
    document: Mapping[str, Any],
    *,
    serial: int,
    issued_at: datetime,
    not_after: datetime,
    grace: timedelta | None = None,
) -> Plain:
    """A new issue of a document, with its own serial and dates and without signatures."""
    issued = {key: deepcopy(value) for key, value in document.items() if key != "signatures"}
    issued |= {
        "serial": serial,
        "issued_at": write_moment(issued_at),
        "not_after": write_moment(not_after),
    }
    if grace is not None:
        issued["grace"] = write_span(grace)
    return issued
