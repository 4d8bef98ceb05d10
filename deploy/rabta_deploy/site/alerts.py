"""What wakes an operator, as Prometheus rules; each has its run-book in the docs."""

from dataclasses import dataclass
from typing import Any, Literal

RUNBOOK = "docs/how-to/answer-an-alert.md"


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule.

    Attributes:
        name: The alert, in kebab-case; its run-book's heading.
        expr: PromQL; it fires while this gives anything.
        lasts: How long it must hold.
        severity: `page` wakes somebody, `ticket` waits for the morning.
        says: One line, with no person, room or file in it.
    """

    name: str
    expr: str
    lasts: str
    severity: Literal["page", "ticket"]
    says: str

    def rule(self) -> dict[str, Any]:
        """As Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.lasts,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.says, "runbook": f"{RUNBOOK}#{self.name}"},
        }


ALERTS = (
    Alert("part-down", "up == 0", "1m", "page", "A part of the site does not answer."),
    Alert(
        "policy-not-in-force",
        "rabta_door_policy_in_force < 1",
        "5m",
        "page",
        "The signed policy is in its grace, expired or missing: federation closes.",
    ),
    Alert(
        "policy-serials-differ",
        "max(rabta_door_policy_serial) != min(rabta_door_policy_serial)",
        "1m",
        "page",
        "Processes of the homeserver follow different policies.",
    ),
    Alert(
        "staff-not-carried",
        "rabta_staff_due > 0",
        "10m",
        "ticket",
        "Accounts do not follow what the staff service was told.",
    ),
    Alert(
        "policy-refused",
        "increase(rabta_door_policy_refused_total[15m]) > 0",
        "0m",
        "ticket",
        "A policy file was refused; the one before stays in force.",
    ),
    Alert(
        "door-failed",
        "increase(rabta_door_failures_total[15m]) > 0",
        "0m",
        "page",
        "The door's own code failed and closed; something that may pass did not.",
    ),
    Alert(
        "refusals-surge",
        "sum by (reason) (rate(rabta_gateway_refusals_total[10m])) > 5",
        "10m",
        "ticket",
        "The border refuses unusually much for one reason.",
    ),
    Alert(
        "federation-lags",
        "max by (instance) (synapse_federation_last_sent_pdu_age) / 1000 > 120",
        "5m",
        "ticket",
        "Messages to other ministries wait for minutes.",
    ),
    Alert(
        "certificate-refused",
        "increase(rabta_gateway_certificate_faults_total[15m]) > 0",
        "0m",
        "page",
        "The gateway could not take a certificate file.",
    ),
    Alert(
        "bridge-lags",
        "histogram_quantile(0.9, rate(rabta_bridge_delivery_seconds_bucket[10m])) > 60",
        "10m",
        "page",
        "Cards come more than a minute after their events.",
    ),
    Alert(
        "bridge-queue-grows",
        "rabta_bridge_waiting > 500 and deriv(rabta_bridge_waiting[15m]) > 0",
        "15m",
        "ticket",
        "Events wait to become cards, and more come than go.",
    ),
    Alert(
        "dead-letters",
        "sum(rabta_bridge_dead_letters) > 0",
        "0m",
        "ticket",
        "Something was refused for good and waits for an operator.",
    ),
    Alert(
        "database-slow",
        "rate(synapse_storage_transaction_time_sum[5m])"
        " / rate(synapse_storage_transaction_time_count[5m]) > 0.5",
        "10m",
        "ticket",
        "Transactions of the homeserver take half a second and more.",
    ),
    Alert(
        "records-not-kept-in-time",
        "rabta_records_failed > 0",
        "3d",
        "ticket",
        "What its time has come for is not destroyed.",
    ),
)


def rules() -> dict[str, Any]:
    """The rule file."""
    return {"groups": [{"name": "rabta", "rules": [alert.rule() for alert in ALERTS]}]}
