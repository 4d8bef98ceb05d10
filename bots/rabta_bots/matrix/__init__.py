"""The Matrix room of the bridge: the hardened client. It alone imports nio and vodozemac."""

from rabta_bots.matrix.client import MatrixClient
from rabta_bots.matrix.condition import Condition
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.media import EncryptedFile
from rabta_bots.matrix.received import Received, SenderTrust, Undecryptable
from rabta_bots.matrix.settings import MatrixSettings
from rabta_bots.matrix.tables import metadata

__all__ = [
    "Condition",
    "EncryptedFile",
    "MatrixClient",
    "MatrixError",
    "MatrixSettings",
    "Received",
    "SenderTrust",
    "Undecryptable",
    "metadata",
]
