"""The staff service's settings: one YAML document, unknown keys refused, secrets only as files."""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rabta_staff.faults import Fault, StaffError, refused

_STRICT = ConfigDict(extra="forbid", frozen=True)
_URL = r"^https?://[^\s/]+(/\S*)?$"


class SingleSignOn(BaseModel):
    """How accounts are tied to the ministry's single sign-on.

    Attributes:
        provider: Synapse's name of the provider, `oidc-` and its `idp_id`.
        subject: Which attribute of a person is its `sub` there.
    """

    model_config = _STRICT
    provider: Annotated[str, Field(min_length=1)]
    subject: Literal["external_id", "user_name", "number"] = "external_id"


class Settings(BaseModel):
    """One staff service of one ministry.

    Attributes:
        server_name: The ministry's Matrix server name.
        port: On the loopback, behind the router's TLS; 0 takes a free one.
        public_url: Base of SCIM as its clients see it, for example
            `https://chat.itt.gov.test/scim/v2`.
        homeserver_url: Client and admin APIs of the homeserver, on the loopback.
        registration_secret_file: With it the service makes its own administrator.
        password_file: Of that administrator.
        account: Local part of that administrator.
        token_files: Name of a SCIM client -> file of what it shows as `Authorization: Bearer`.
        import_token_file: What `rabta staff import` shows; no SCIM client has it.
        directory: The register and its audit.
        directory_file: Written for the bridge: who is who, and who holds which post.
        sign_on: Without it people have passwords.
        reserved: Local parts that no person gets.
    """

    model_config = _STRICT
    server_name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.:-]*$")]
    port: Annotated[int, Field(ge=0, le=65_535)]
    public_url: Annotated[str, Field(pattern=_URL)]
    homeserver_url: Annotated[str, Field(pattern=_URL)]
    registration_secret_file: Path
    password_file: Path
    account: Annotated[str, Field(pattern=r"^[a-z0-9._-]+$")] = "rabta-staff"
    token_files: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")], Path], Field(min_length=1)
    ]
    import_token_file: Path
    directory: Path
    directory_file: Path
    sign_on: SingleSignOn | None = None
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
                    "see docs/reference/staff.md",
                )
                for one in error.errors(include_url=False, include_input=False)
            ]
            raise StaffError("settings-faulty", faults) from error

    def text(self) -> str:
        """The document that `load` reads."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
