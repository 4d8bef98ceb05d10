"""Settings of the reference e-Office, read from YAML, every fault told at once."""

from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rabta_contract import Fault

Model = TypeVar("Model", bound=BaseModel)


class SettingsError(Exception):
    """The settings or the seed cannot be used; the text names path, fault and cure."""


class Settings(BaseModel):
    """One e-Office of one organisation.

    Paths are taken from the folder of the settings file. Secrets are in files of mode 0600.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    org: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,8}$")]
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)]
    public_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+$")]
    database_file: Path
    seed_file: Path | None = None
    session_secret_file: Path
    command_secret_file: Path
    feed_token_file: Path
    webhook_url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    webhook_secret_file: Path | None = None
    webhook_longest_pause_seconds: Annotated[float, Field(ge=0.25, le=3600)] = 30.0
    heartbeat_seconds: Annotated[int, Field(ge=1)] | None = None
    session_hours: Annotated[int, Field(ge=1, le=24)] = 8

    @model_validator(mode="after")
    def _webhook_has_its_secret(self) -> Self:
        if (self.webhook_url is None) != (self.webhook_secret_file is None):
            raise ValueError("webhook_url and webhook_secret_file go together")
        return self

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the settings file.

        Raises:
            SettingsError: It is missing, not YAML, or has faults (all of them are named).
        """
        document = read_yaml(path)
        settings = checked(cls, document, path)
        home = path.resolve().parent
        changes = {
            name: home / value
            for name in cls.model_fields
            if isinstance(value := getattr(settings, name), Path)
        }
        return settings.model_copy(update=changes)


def read_yaml(path: Path) -> Any:
    """Read one YAML document.

    Raises:
        SettingsError: Missing, or not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror}); see config/eoffice.example.yaml"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = "" if line is None else f" (line {line + 1})"
        raise SettingsError(f"{path}: is not YAML{where}; mend the file") from None


def checked(model: type[Model], document: Any, path: Path) -> Model:
    """Parse a document into a model.

    Raises:
        SettingsError: Every fault, one a line, with its path in the document.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        faults = [
            Fault("".join(f"/{key}" for key in fault["loc"]), fault["msg"])
            for fault in error.errors(include_url=False, include_input=False)
        ]
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise SettingsError(f"{path}: {len(faults)} fault(s)\n{lines}") from None
