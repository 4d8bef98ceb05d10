"""nio's account and session classes, with what vodozemac has and nio does not show."""

from datetime import datetime
from typing import Any

import vodozemac
from nio.crypto import InboundGroupSession, OlmAccount, OlmDevice
from nio.crypto.sessions import derive_pickle_key


class Account(OlmAccount):  # type: ignore[misc] # nio ships no types
    """The Olm account of our device, with fallback keys (spec: One-time and fallback keys)."""

    _account: Any  # vodozemac.Account, whose stub leaves out the fallback keys

    @classmethod
    def restore(cls, pickle: str, pickle_key: str, *, shared: bool) -> "Account":
        """Unpickle; raises ValueError when the key is not the one it was pickled with."""
        account = cls(vodozemac.Account.from_pickle(pickle, derive_pickle_key(pickle_key)))
        account.shared = shared
        return account

    def unpublished_fallback_key(self) -> tuple[str, str] | None:
        """Give id and public key of a fallback key that was made and not yet marked published."""
        for key_id, key in self._account.fallback_key.items():
            return str(key_id), str(key.to_base64())
        return None

    def make_fallback_key(self) -> None:
        """Make the next fallback key; the one before stays usable until the one after."""
        self._account.generate_fallback_key()


class RoomSession(InboundGroupSession):  # type: ignore[misc] # nio ships no types
    """The reading side of one Megolm session, bound to one room and one Olm sender key."""

    _session: vodozemac.InboundGroupSession

    @classmethod
    def restore(
        cls, pickle: str, pickle_key: str, *, ed25519: str, sender_key: str, room_id: str
    ) -> "RoomSession":
        """Unpickle; raises ValueError when the key is not the one it was pickled with."""
        session = vodozemac.InboundGroupSession.from_pickle(pickle, derive_pickle_key(pickle_key))
        return cls("", ed25519, sender_key, room_id, session=session)

    def exported(self) -> str:
        """Give the key from its first known index on, as a key export carries it (base64)."""
        exported = self._session.export_at(self._session.first_known_index)
        if exported is None:
            raise LookupError(self.id)  # vodozemac has none before the first known index alone
        return str(exported.to_base64())

    def read(self, ciphertext: str) -> tuple[bytes, int]:
        """Give plaintext and message index; raises ValueError on anything malformed."""
        message = self._session.decrypt(vodozemac.MegolmMessage.from_base64(ciphertext))
        return message.plaintext, message.message_index


class WritingSession:
    """The writing side of our own Megolm session for one room.

    Args:
        session: The ratchet.
        created: When it was made (timezone-aware).
        messages: How many messages it has encrypted.
        shared_history: Whether its keys may be handed to people invited later.
    """

    def __init__(
        self,
        session: vodozemac.GroupSession,
        *,
        created: datetime,
        messages: int,
        shared_history: bool,
    ) -> None:
        self._session = session
        self.created = created
        self.messages = messages
        self.shared_history = shared_history

    @classmethod
    def restore(cls, pickle: str, pickle_key: str, **facts: Any) -> "WritingSession":
        """Unpickle; raises ValueError when the key is not the one it was pickled with."""
        key = derive_pickle_key(pickle_key)
        return cls(vodozemac.GroupSession.from_pickle(pickle, key), **facts)

    @property
    def id(self) -> str:
        """The session id."""
        return str(self._session.session_id)

    @property
    def index(self) -> int:
        """The index of the next message."""
        return int(self._session.message_index)

    @property
    def key(self) -> str:
        """The session key from the next message on, as `m.room_key` carries it."""
        return str(self._session.session_key.to_base64())

    def pickle(self, pickle_key: str) -> str:
        """Pickle under a passphrase."""
        return str(self._session.pickle(derive_pickle_key(pickle_key)))

    def encrypt(self, plaintext: str) -> str:
        """Encrypt one message and step the ratchet."""
        self.messages += 1
        return str(self._session.encrypt(plaintext.encode()).to_base64())


class Device(OlmDevice):  # type: ignore[misc] # nio ships no types
    """Somebody's device, and the self-signing key whose signature on it was verified."""

    signed_by: str | None = None
