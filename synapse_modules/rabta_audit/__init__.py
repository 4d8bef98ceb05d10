"""The audit: one line per refusal and per grant across organisations, chained by hashes.

It holds who asked for what and which rule answered; never a message, a name of a room or a subject.
"""

from rabta_audit.chain import Broken, Head, link, seal, unlink, verify
from rabta_audit.export import to_cef
from rabta_audit.journal import Journal, JournalError, chains, read_lines
from rabta_audit.record import Record

__all__ = [
    "Broken",
    "Head",
    "Journal",
    "JournalError",
    "Record",
    "chains",
    "link",
    "read_lines",
    "seal",
    "to_cef",
    "unlink",
    "verify",
]
