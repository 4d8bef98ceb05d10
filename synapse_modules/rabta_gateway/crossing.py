"""One request at the border: what is known about it so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Direction(StrEnum):
    """Which way a request crosses the border."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


@dataclass(slots=True)
class Crossing:
    """What is known so far about one request.

    Attributes:
        direction: Which way.
        started: Monotonic seconds at its headers.
        endpoint: Name from the table, or `unknown`.
        action: The judge's action, or `federate` where the endpoint is no single action.
        origin: Server that asks; only a claim until `verified`.
        destination: Server that is asked.
        verified: Whether the origin is known for certain.
        parameters: Decoded path parameters (room, user, event ids).
    """

    direction: Direction
    started: float
    endpoint: str = "unknown"
    action: str = "federate"
    origin: str = ""
    destination: str = ""
    verified: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
