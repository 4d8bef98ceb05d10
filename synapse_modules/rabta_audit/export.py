"""The audit in the formats of a SIEM. It translates; it adds and hides nothing."""

from rabta_audit.record import Record

# ArcSight's Common Event Format: severity 0 to 10.
_SEVERITY = {"allowed": 2, "noted": 3, "denied": 6}


def _header(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("\r", " ")


def _value(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("=", "\\=")
    return escaped.replace("\n", "\\n").replace("\r", "\\r")


def to_cef(record: Record, *, version: str) -> str:
    """One record as one line of the Common Event Format, without a newline."""
    code = record.reasons[0] if record.reasons else record.action
    head = "|".join(
        (
            "CEF:0",
            "Rabta",
            "rabta",
            _header(version),
            _header(code),
            _header(f"{record.action} {record.verdict}"),
            str(_SEVERITY[record.verdict]),
        )
    )
    fields = {
        "rt": str(int(record.time.timestamp() * 1000)),
        "act": record.action,
        "outcome": record.verdict,
        "shost": record.origin,
        "dhost": record.destination,
        "suser": record.actor,
        "cs1Label": "room" if record.room else None,
        "cs1": record.room,
        "cs2Label": "roomClass" if record.room_class else None,
        "cs2": record.room_class,
        "cs3Label": "rules" if record.rules else None,
        "cs3": " ".join(record.rules) or None,
        "cs4Label": "reasons" if record.reasons else None,
        "cs4": " ".join(record.reasons) or None,
        "cs5Label": "ref" if record.ref else None,
        "cs5": record.ref,
        "cs6Label": "path",
        "cs6": record.path,
        "flexString1Label": "events" if record.events else None,
        "flexString1": " ".join(record.events) or None,
        "cn1Label": "policySerial",
        "cn1": str(record.serial),
    }
    extension = " ".join(f"{key}={_value(value)}" for key, value in fields.items() if value)
    return f"{head}|{extension}"
