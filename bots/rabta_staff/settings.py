"""The staff service's settings: one YAML document, unknown keys refused, secrets only as files."""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.engine import URL, make_url

from rabta_contract import load_token
from rabta_staff.faults import Fault, StaffError, refused

_STRICT = ConfigDict(extra="forbid", frozen=True)
_URL = r"^https?://[^\s/]+(/\S*)?$"


class Listen(BaseModel):
    """Where SCIM is spoken, behind the router's TLS; port 0 takes a free one."""

    model_config = _STRICT
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)]


class Database(BaseModel):
    """The store: `sqlite:///PATH` or `postgresql+psycopg://USER@HOST/NAME`, without a password."""

    model_config = _STRICT
    url: Annotated[str, Field(pattern=r"^(sqlite:///|postgresql\+psycopg://)\S+$")]
    password_file: Path | None = None

    def full_url(self) -> URL:
        """The URL with the password from its file.

        Raises:
            SecretError: The file cannot be used.
        """
        url = make_url(self.url)
        if self.password_file is None:
            return url
        return url.set(password=load_token(self.password_file))


class Settings(BaseModel):
    """One staff service of one ministry.

    Attributes:
        server_name: The ministry's Matrix server name.
        public_url: Base of SCIM as its clients see it, for example
            `https://chat.itt.gov.test/scim/v2`.
        homeserver_url: Client and admin APIs of the homeserver, on the loopback.
        registration_secret_file: With it the service makes its own administrator.
        password_file: Password of that administrator.
        account: Local part of that administrator.
        token_file: What SCIM's client shows as `Authorization: Bearer`.
        directory_file: Written for the bridge: who is who, and who holds which post.
        audit_directory: Where the journal of joins, transfers and leaves is kept.
        sso_subject: Which attribute is the person's subject at the single sign-on; without it
            people have passwords.
        sso_provider: Synapse's name of the provider.
        reserved: Local parts that no person gets.
    """

    model_config = _STRICT
    server_name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.:-]*$")]
    listen: Listen
    public_url: Annotated[str, Field(pattern=_URL)]
    database: Database
    homeserver_url: Annotated[str, Field(pattern=_URL)]
    registration_secret_file: Path
    password_file: Path
    account: Annotated[str, Field(pattern=r"^[a-z0-9._-]+$")] = "rabta-staff"
    token_file: Path
    directory_file: Path
    audit_directory: Path
    sso_subject: Literal["external_id", "user_name", "number"] | None = None
    sso_provider: str = "oidc-ministry"
    reserved: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the settings file.

        Raises:
            StaffError: `settings-unreadable` or `settings-faulty`, with every fault.
        """
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            cure = "name the staff service's settings with --config"
            raise refused("settings-unreadable", str(path), str(error), cure) from error
        except ValidationError as error:
            faults = [
                Fault(
                    f"{path}: {'.'.join(str(step) for step in one['loc']) or 'document'}",
                    one["msg"],
                    "see docs/reference/scim.md",
                )
                for one in error.errors(include_url=False, include_input=False)
            ]
            raise StaffError("settings-faulty", faults) from error
