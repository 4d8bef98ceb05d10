"""Counts what the bridge does, with labels from fixed lists only: no file, post or person."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

QUEUES = ("message", "document", "command", "filing")


class Metrics:
    """The bridge's metrics on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.deliveries = Counter(
            "rabta_bridge_deliveries",
            "Webhook deliveries by answer: stored, duplicate, or the refusal's reason code.",
            ["answer"],
            registry=self.registry,
        )
        self.events = Counter(
            "rabta_bridge_events",
            "Events stored, by the way they came (push, feed).",
            ["via"],
            registry=self.registry,
        )
        self.messages = Counter(
            "rabta_bridge_messages",
            "Messages to rooms, by part (issue, poll, outcome, amend, say) and result (sent, "
            "again, moot, dead).",
            ["part", "result"],
            registry=self.registry,
        )
        self.commands = Counter(
            "rabta_bridge_commands",
            "Commands read from rooms, by result (a reason code, asked, queued, answered).",
            ["result"],
            registry=self.registry,
        )
        self.unreadable = Counter(
            "rabta_bridge_unreadable",
            "Messages from rooms whose key never came, by whether their sender was told (told, "
            "ignored).",
            ["result"],
            registry=self.registry,
        )
        self.dispatches = Counter(
            "rabta_bridge_dispatches",
            "Commands to e-Office, by result (done, refused, again, lost).",
            ["result"],
            registry=self.registry,
        )
        self.documents = Counter(
            "rabta_bridge_documents",
            "Documents of cards, by result (posted, again, moot, dead, or a reason code).",
            ["result"],
            registry=self.registry,
        )
        self.filings = Counter(
            "rabta_bridge_filings",
            "Documents from rooms into files, by result (done, again, or a reason code).",
            ["result"],
            registry=self.registry,
        )
        self.waiting = Gauge(
            "rabta_bridge_waiting",
            "Events not yet planned and messages not yet sent.",
            registry=self.registry,
        )
        self.dead = Gauge(
            "rabta_bridge_dead_letters",
            "What was refused for good and waits for an operator, by kind (message, command).",
            ["kind"],
            registry=self.registry,
        )
        self.standby = Gauge(
            "rabta_bridge_standby",
            "1 while another process is the bridge of the account and this one waits.",
            registry=self.registry,
        )
        self.lag = Gauge(
            "rabta_bridge_lag_seconds",
            "Age of the oldest event that is stored and not yet planned.",
            registry=self.registry,
        )
        self.queue_age = Gauge(
            "rabta_bridge_queue_age_seconds",
            "Age of the oldest that waits in a queue (message, document, command, filing).",
            ["queue"],
            registry=self.registry,
        )
        self.retrying = Gauge(
            "rabta_bridge_retrying",
            "What failed and is tried again, by queue (message, document, command, filing).",
            ["queue"],
            registry=self.registry,
        )
        self.undecryptable = Gauge(
            "rabta_bridge_undecryptable",
            "Received events that cannot be read now.",
            registry=self.registry,
        )
        self.unsigned_devices = Gauge(
            "rabta_bridge_unsigned_devices",
            "Devices in our rooms that their owner has not signed: they get no key.",
            registry=self.registry,
        )
        self.changed_identities = Gauge(
            "rabta_bridge_changed_identities",
            "People who get nothing until somebody acknowledges their new identity.",
            registry=self.registry,
        )
        self.delay = Histogram(
            "rabta_bridge_delivery_seconds",
            "From an event's storage to its card in the room.",
            buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
            registry=self.registry,
        )
