"""Who is signed in: sessions in the database by the hash of their token, and form tokens."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, insert, select

from rabta_eoffice import passwords
from rabta_eoffice.desk import Desk
from rabta_eoffice.tables import persons, reading, sessions

_TOKEN_BYTES = 32
# Guessing: so many wrong passwords for one person, then a pause.
_WRONG_ALLOWED = 10
_WRONG_WINDOW = timedelta(minutes=5)


class TooManyAttemptsError(Exception):
    """Too many wrong passwords for one person; try again in a few minutes."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever sends a request: a token of their own, and the person if signed in."""

    token: str
    person_id: str | None


def new_token() -> str:
    """A fresh token, for a visitor or a session."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


class Sessions:
    """Sign-in, sign-out and form tokens.

    Args:
        desk: Gives database and clock.
        secret: Key of the hashes; whoever reads the database alone cannot use a session.
        hours: How long a session lasts.
    """

    def __init__(self, desk: Desk, *, secret: str, hours: int) -> None:
        self._desk = desk
        self._key = secret.encode()
        self._lasts = timedelta(hours=hours)
        self._wrong: dict[str, list[float]] = {}

    def sign_in(self, person_id: str, password: str) -> str | None:
        """The token of a new session, or None when person or password is wrong.

        Raises:
            TooManyAttemptsError: Ten wrong ones in five minutes.
        """
        now = self._desk.clock()
        recent = [
            moment
            for moment in self._wrong.get(person_id, [])
            if now.timestamp() - moment < _WRONG_WINDOW.total_seconds()
        ]
        if len(recent) >= _WRONG_ALLOWED:
            raise TooManyAttemptsError
        with reading(self._desk.engine) as connection:
            row = connection.execute(
                select(persons.c.password_hash).where(persons.c.person_id == person_id)
            ).one_or_none()
        if not passwords.matches(password, None if row is None else row.password_hash):
            if row is not None:  # only names that exist are kept in memory
                self._wrong[person_id] = [*recent, now.timestamp()]
            return None
        self._wrong.pop(person_id, None)
        token = new_token()
        with self._desk.engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
            connection.execute(
                insert(sessions).values(
                    token_hash=self._hash(token),
                    person_id=person_id,
                    expires_at=now + self._lasts,
                )
            )
        return token

    def person(self, token: str) -> str | None:
        """The person whose session the token opens, or None."""
        with reading(self._desk.engine) as connection:
            found = connection.execute(
                select(sessions.c.person_id).where(
                    sessions.c.token_hash == self._hash(token),
                    sessions.c.expires_at > self._desk.clock(),
                )
            ).scalar_one_or_none()
        return None if found is None else str(found)

    def sign_out(self, token: str) -> None:
        """End the session."""
        with self._desk.engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.token_hash == self._hash(token)))

    def form_token(self, token: str) -> str:
        """What every form of this visitor carries, so that no other site can post one."""
        return self._mac("form", token)

    def form_token_matches(self, token: str, offered: str) -> bool:
        """Whether a form came from a page that this visitor was given."""
        return hmac.compare_digest(
            self.form_token(token).encode(), offered.encode(errors="replace")
        )

    def _hash(self, token: str) -> str:
        return self._mac("session", token)

    def _mac(self, use: str, token: str) -> str:
        text = f"{use}:{token}".encode(errors="replace")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()
