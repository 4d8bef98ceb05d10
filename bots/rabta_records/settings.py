"""The archiver's settings: one YAML document, unknown keys refused, secrets only as files."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rabta_bots.matrix import MatrixSettings


class ArchiverSettingsError(Exception):
    """The settings cannot be used; the message says why."""


class ArchiverSettings(BaseModel):
    """One archiver.

    Attributes:
        matrix: Its account; `allowed_inviters` says by whom it lets itself be invited.
        directory: Where the records go, and its own crypto state.
        recipients: age public keys of the records office. The archiver itself cannot read what it
            has written.
        classes: Room classes it keeps records of; it leaves every other room.
        largest_file_bytes: A larger file is recorded by name and hash alone.
        port: `/health` and `/metrics`, on the loopback.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    matrix: MatrixSettings
    directory: Path
    recipients: Annotated[
        tuple[Annotated[str, Field(pattern=r"^age1[a-z0-9]{58}$")], ...], Field(min_length=1)
    ]
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    largest_file_bytes: Annotated[int, Field(ge=1)] = 1024**3
    port: Annotated[int, Field(ge=0, le=65_535)]


def load(file: Path) -> ArchiverSettings:
    """Read the settings.

    Raises:
        ArchiverSettingsError: With every fault.
    """
    try:
        return ArchiverSettings.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ArchiverSettingsError(f"{file}: {error}") from error
