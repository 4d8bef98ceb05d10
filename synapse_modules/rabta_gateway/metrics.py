"""Prometheus metrics, labels bounded: endpoints of the table and reason codes, no names."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 90)


class Metrics:
    """The gateway's counters in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "rabta_gateway_requests",
            "Requests by what became of them.",
            ["direction", "endpoint", "outcome"],
            registry=self.registry,
        )
        self.refusals = Counter(
            "rabta_gateway_refusals",
            "Requests not forwarded, by reason code.",
            ["direction", "reason"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "rabta_gateway_seconds",
            "Time from a request's headers to the end of its answer.",
            ["direction"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.policy_serial = Gauge(
            "rabta_gateway_policy_serial", "Serial of the policy in force.", registry=self.registry
        )
        self.policy_faults = Counter(
            "rabta_gateway_policy_faults",
            "Policy files that were not taken, by reason code.",
            ["reason"],
            registry=self.registry,
        )
        self.certificate_faults = Counter(
            "rabta_gateway_certificate_faults",
            "Certificate files that were not taken.",
            registry=self.registry,
        )

    def text(self) -> bytes:
        """The exposition format 0.0.4."""
        return generate_latest(self.registry)
