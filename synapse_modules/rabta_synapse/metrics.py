"""Counters of the door. Labels are bounded: kinds of action, verdicts, reason codes; no names."""

from prometheus_client import Counter, Gauge

DECISIONS = Counter(
    "rabta_door_decisions",
    "Verdicts of the judge asked for by the door, by action, verdict and reason code.",
    ["action", "verdict", "reason"],
)
FAILURES = Counter(
    "rabta_door_failures",
    "Callbacks in which the door's own code failed, and which were therefore closed.",
    ["callback"],
)
DELIVERIES = Counter(
    "rabta_door_deliveries", "Transactions with events of rooms that were tried, to any server."
)
DELIVERY_EVENTS = Counter(
    "rabta_door_delivery_events", "Events of rooms in transactions that were tried."
)
WITHHELD = Counter(
    "rabta_door_withheld",
    "Ephemeral events that were not sent to a server without the right, by type.",
    ["type"],
)
RECONCILE_LEFT = Gauge(
    "rabta_door_reconcile_rooms_left", "Rooms that the round under way has still to look at."
)
RECONCILE_CHANGED = Counter("rabta_door_reconcile_rooms_changed", "Rooms made to follow a policy.")
RECONCILE_PENDING = Gauge(
    "rabta_door_reconcile_rooms_pending",
    "Rooms that were changed, or could not be, and are looked at again.",
)
POLICY_SERIAL = Gauge("rabta_door_policy_serial", "Serial of the policy in force; 0 without one.")
POLICY_IN_FORCE = Gauge(
    "rabta_door_policy_in_force", "1 while a policy is in force, 0 in grace, -1 without or expired."
)
FEDERATING_SERVERS = Gauge(
    "rabta_door_federating_servers", "Servers that the whitelist names at this moment."
)
POLICY_REFUSED = Counter(
    "rabta_door_policy_refused", "Policy files that were refused, by reason code.", ["reason"]
)
