"""A hostile homeserver: its own name and signing key, raw federation, and no scruples."""

from typing import Any

from rabta_deploy.raw_homeserver import Answer, RawHomeserver, event_id_of
from rabta_deploy.raw_homeserver import RawRoom as HostileRoom
from rabta_deploy.switchboard import Delivery

__all__ = ["Answer", "Hostile", "HostileRoom", "event_id_of"]


class Hostile(RawHomeserver):
    """A homeserver that does as it likes: it names no event that it was sent."""

    def answer(self, delivery: Delivery) -> tuple[int, Any]:
        """Answer as any homeserver, but never echo an event id."""
        status, body = super().answer(delivery)
        sent = delivery.path.startswith("/_matrix/federation/v1/send/") and delivery.body
        if sent and sent.get("pdus"):
            return status, {"pdus": {"$unknown": {}}}
        return status, body
