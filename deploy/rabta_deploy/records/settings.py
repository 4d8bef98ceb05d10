"""The settings of the records office's program, as a site renders them into `records.yaml`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rabta_deploy.fault import YardError
from rabta_deploy.records.deciding import Lifetimes
from rabta_deploy.records.purging import Wanted
from rabta_policy.record import RecordCategory

ACCOUNT = "rabta-records"
"""Local part of the administrator in whose name it asks the homeserver. It is in no room."""


class RecordsSettings(BaseModel):
    """What the records office needs to know.

    Attributes:
        server_name: Of the homeserver.
        bridge: User id of the e-Office bridge.
        client_url: The homeserver's client and admin APIs, on the loopback.
        registration_secret_file: Makes the account once.
        password_file: Of the account.
        directory: The register of holds, and the audit of what is destroyed.
        default_days: Of rooms without a category; None is for ever.
        categories: Days by category; None, and a category that is not named, is for ever.
        remote_media_days: Of copies of other servers' media that nobody uses.
        every_hours: How often it goes through the rooms.
        metrics_port: On the loopback, for Prometheus and the probe.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    server_name: str
    bridge: str
    client_url: Annotated[str, Field(pattern=r"^http://127\.0\.0\.1:[0-9]+$")]
    registration_secret_file: Path
    password_file: Path
    directory: Path
    default_days: Annotated[int, Field(ge=1)] | None
    categories: dict[RecordCategory, Annotated[int, Field(ge=1)] | None]
    remote_media_days: Annotated[int, Field(ge=1)]
    every_hours: Annotated[int, Field(ge=1, le=168)]
    metrics_port: Annotated[int, Field(ge=1, le=65_535)]

    @property
    def wanted(self) -> Wanted:
        """What is kept how long."""
        return Wanted(
            lifetimes=Lifetimes(self.categories, self.default_days),
            copies=timedelta(days=self.remote_media_days),
            server_name=self.server_name,
            bridge=self.bridge,
        )

    def text(self) -> str:
        """The document that `load` reads."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load(file: Path) -> RecordsSettings:
    """Read the settings.

    Raises:
        YardError: `records-settings-refused`, with every fault.
    """
    try:
        return RecordsSettings.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise YardError(
            "records-settings-refused",
            f"{file}: {error}",
            "render the site again with `rabta site render`",
        ) from error
