"""The settings of the bridge's Matrix account. Secrets are named by file and have no default."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class MatrixSettings(BaseModel):
    """One account on one homeserver. Every `*_file` with a secret must have mode 0600 or less."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    homeserver_url: Annotated[str, Field(pattern=r"^https?://[^/]+$")]
    """Client-server API base, without a trailing slash."""
    user_id: Annotated[str, Field(pattern=r"^@[^:]+:.+$")]
    """The account's full Matrix id."""
    password_file: Path | None = None
    """The account's password; needed to log in and, once, to upload cross-signing keys."""
    access_token_file: Path | None = None
    """An access token instead of a password."""
    device_id: str | None = None
    """A fixed device id. Leave out: a random one is made and kept (it must be unique)."""
    store_key_file: Path
    """32 random bytes in base64: everything secret in the database is sealed with it."""
    recovery_key_file: Path
    """Where the recovery key of the account's identity is written at first start, and read from
    when the database was lost. Keep a copy with the ministry's key custodian."""
    ca_file: Path | None = None
    """A PEM bundle that replaces the system's authorities for the homeserver's TLS."""
    allowed_inviters: tuple[str, ...] = ()
    """User ids, or `:server.name` endings, whose invitations are accepted. Nobody by default."""
    timeline_limit: Annotated[int, Field(ge=1, le=1000)] = 50
    """Events per room and sync; the rest of a gap is fetched page by page, none is lost."""

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.password_file is None) == (self.access_token_file is None):
            raise ValueError("give exactly one of password_file and access_token_file")
        return self
