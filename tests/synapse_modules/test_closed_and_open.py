"""On a real Synapse: closed at start, opened and closed by the signed policy alone, no restart."""

from typing import Any

import pytest
from network import Network

pytestmark = [pytest.mark.network, pytest.mark.hostile]

ASK = "/_matrix/federation/v1/query/directory?room_alias=%23none%3Aitt.gov.test"
HEARD, CLOSED = 404, 403
"""An alias nobody has: 404 to whoever is listened to."""


async def test_the_policy_alone_opens_and_closes(network: Network, eventually: Any) -> None:
    """One story in order, on one homeserver: each step starts where the one before ended."""
    network.start()
    # Without a policy nothing crosses, and nothing new begins at home.
    assert network.federation("FIN", ASK).status == CLOSED
    amna = network.person("amna")
    refused = amna.create_room()
    assert (refused.status, refused.reason) == (403, "no-policy")

    network.issue()
    await eventually(network.in_force, what="the first policy")
    assert network.federation("FIN", ASK).status == HEARD
    assert network.federation("LAW", ASK).status == CLOSED
    room_id = amna.room()

    # An invite to a pair without a right is refused with the judge's words.
    refused = amna.invite(room_id, "@x:war.gov.test")
    assert (refused.status, refused.body["errcode"], refused.reason) == (
        403,
        "M_FORBIDDEN",
        "no-permit",
    )
    assert refused.body["org.rabta.rule"] == "R11"
    assert "network authority" in refused.body["error"]
    assert amna.invite(room_id, "@x:law.gov.test").reason == "phase-closed"

    # A new policy names a third ministry: open within seconds, without a restart.
    network.issue(open_to_law=True)
    await eventually(
        lambda: network.federation("LAW", ASK).status == HEARD, within_s=10, what="LAW open"
    )

    # An older policy is refused, and what was open stays open.
    network.issue(serial=1)
    await eventually(lambda: network.log_says("Policy refused (policy-serial-too-low)"))
    assert network.federation("LAW", ASK).status == HEARD

    # Garbage is refused, and the last good one stands.
    network.seal.put(b"{}")
    await eventually(lambda: network.log_says("Policy refused (policy-unsigned)"))
    assert network.federation("LAW", ASK).status == HEARD

    # LAW's phase closes again.
    network.issue(open_to_law=False)
    await eventually(
        lambda: network.federation("LAW", ASK).status == CLOSED, within_s=10, what="LAW closed"
    )

    # The last seen serial survives a restart: the older policy does not open what it opened.
    itt = network.homeservers["ITT"]
    itt.stop()
    network.issue(serial=2, open_to_law=True)
    itt.start()
    itt.wait_ready()
    await eventually(lambda: network.log_says("serial 2, and 3 was in force"), within_s=20)
    assert network.federation("LAW", ASK).status == CLOSED
    assert network.federation("FIN", ASK).status == CLOSED
