"""What leaves in a transaction: nothing of a kind that the door does not know."""

from unittest.mock import Mock

import pytest

from rabta_synapse.delivery import Delivery
from rabta_synapse.judge import Judge


@pytest.mark.parametrize(
    ("edu_type", "leaves"),
    [("m.receipt", True), ("org.example.new", False), ("m.calls.unheard_of", False), ("", False)],
)
def test_an_ephemeral_event_that_is_not_known_does_not_leave(
    edu_type: str, *, leaves: bool
) -> None:
    judge = Mock(spec=Judge)
    judge.server_name = "itt.gov.test"
    assert Delivery(judge, Mock()).passes("fin.gov.test", edu_type) is leaves
    judge.ask.assert_not_called()
