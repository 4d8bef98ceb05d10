"""The Grafana dashboard of a site: what an operator looks at first, generated from one table."""

from typing import Any

# Title, PromQL, legend, unit.
_PANELS = (
    ("Policy serial, by process", "rabta_door_policy_serial", "{{job}}", "none"),
    ("Policy in force (1), grace (0), none (-1)", "rabta_door_policy_in_force", "{{job}}", "none"),
    (
        "Refusals at the border, by reason",
        "sum by (reason) (rate(rabta_gateway_refusals_total[5m]))",
        "{{reason}}",
        "reqps",
    ),
    (
        "Denied by the door, by reason",
        'sum by (reason) (rate(rabta_door_decisions_total{verdict="denied"}[5m]))',
        "{{reason}}",
        "reqps",
    ),
    (
        "Federation: oldest event still to be sent, by ministry",
        "synapse_federation_last_sent_pdu_age / 1000",
        "{{server_name}}",
        "s",
    ),
    (
        "Bridge: from event to card (90 %)",
        "histogram_quantile(0.9, rate(rabta_bridge_delivery_seconds_bucket[5m]))",
        "seconds",
        "s",
    ),
    ("Bridge: waiting", "rabta_bridge_waiting", "events and messages", "none"),
    ("Bridge: dead letters", "rabta_bridge_dead_letters", "{{kind}}", "none"),
    (
        "Messages sent a second",
        "sum(rate(synapse_storage_events_persisted_events_total[5m]))",
        "events",
        "none",
    ),
    (
        "Database: seconds a second in transactions",
        "sum by (job) (rate(synapse_storage_transaction_time_sum[5m]))",
        "{{job}}",
        "s",
    ),
    ("Memory, by part", "process_resident_memory_bytes", "{{job}}", "bytes"),
    ("CPU, by part", "rate(process_cpu_seconds_total[5m])", "{{job}}", "none"),
)
_COLUMNS, _WIDTH, _HEIGHT = 2, 12, 8


def dashboard(server_name: str) -> dict[str, Any]:
    """As Grafana imports it."""
    return {
        "uid": "rabta-site",
        "title": f"Rabta: {server_name}",
        "timezone": "Asia/Karachi",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "panels": [
            {
                "id": number + 1,
                "type": "timeseries",
                "title": title,
                "datasource": {"type": "prometheus", "uid": "site"},
                "gridPos": {
                    "x": number % _COLUMNS * _WIDTH,
                    "y": number // _COLUMNS * _HEIGHT,
                    "w": _WIDTH,
                    "h": _HEIGHT,
                },
                "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
                "targets": [{"refId": "A", "expr": expr, "legendFormat": legend}],
            }
            for number, (title, expr, legend, unit) in enumerate(_PANELS)
        ],
    }
