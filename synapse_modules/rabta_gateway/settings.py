"""The gateway's settings: one YAML document, all faults told at once, secrets only as files."""

import stat
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

STRICT = ConfigDict(extra="forbid", frozen=True)
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SettingsFault:
    """One fault of the settings: where, what, and what to do about it."""

    path: str
    message: str
    cure: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}. Cure: {self.cure}."


class SettingsError(Exception):
    """The settings cannot be used; `faults` holds every reason."""

    def __init__(self, faults: Sequence[SettingsFault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class Inbound(BaseModel):
    """Where peers arrive (TLS), and the homeserver's plain federation listener behind it."""

    model_config = STRICT
    host: str
    port: Port
    tls_certificate_file: Path
    tls_key_file: Path
    upstream: str

    @field_validator("upstream")
    @classmethod
    def _plain_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError("must be http://HOST:PORT, the homeserver's plain listener")
        if parts.query or parts.fragment or parts.username is not None or parts.port is None:
            raise ValueError("must be http://HOST:PORT and nothing more")
        return value.rstrip("/")


class Outbound(BaseModel):
    """Where the own homeserver hands over its federation requests, in clear."""

    model_config = STRICT
    host: str
    port: Port
    secret_file: Path


class Listen(BaseModel):
    """Where `/health` and `/metrics` are served, in clear."""

    model_config = STRICT
    host: str
    port: Port


class RateLimit(BaseModel):
    """How much one peer may ask: `per_second` in the long run, `burst` at once."""

    model_config = STRICT
    per_second: Annotated[float, Field(gt=0)] = 200
    burst: Annotated[int, Field(ge=1)] = 1000


class Limits(BaseModel):
    """Sizes in bytes and times in seconds; the defaults fit Synapse 1.163."""

    model_config = STRICT
    # A full transaction: 50 PDUs and 100 EDUs of 64 KiB (server-server API, "Transactions").
    request_bytes: Annotated[int, Field(ge=65536)] = 10 * _MIB
    # The state of a very large room in an answer to send_join.
    answer_bytes: Annotated[int, Field(ge=65536)] = 512 * _MIB
    # Of bodies still arriving, each direction: what a crowd can hold in memory.
    waiting_bytes: Annotated[int, Field(ge=65536)] = 256 * _MIB
    request_seconds: Seconds = 30
    connect_seconds: Seconds = 10
    # Above Synapse's own 60 s, so that Synapse gives up first and counts the failure itself.
    answer_seconds: Seconds = 90
    stop_seconds: Seconds = 10


class Settings(BaseModel):
    """The whole document. One gateway serves one homeserver."""

    model_config = STRICT
    server_name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.\-]*(:[0-9]{1,5})?$")]
    policy_file: Path
    authority_file: Path
    state_file: Path
    inbound: Inbound
    outbound: Outbound
    metrics: Listen | None = None
    audit_directory: Path | None = None
    rate_limit: RateLimit = RateLimit()
    limits: Limits = Limits()
    policy_poll_seconds: Annotated[float, Field(gt=0, le=1)] = 0.5
    cleartext_beyond_loopback_dangerous: bool = False

    @model_validator(mode="after")
    def _clear_text_stays_on_this_machine(self) -> "Settings":
        if self.cleartext_beyond_loopback_dangerous:
            return self
        hosts = {
            "outbound.host": self.outbound.host,
            "inbound.upstream": urlsplit(self.inbound.upstream).hostname or "",
        }
        if self.metrics is not None:
            hosts["metrics.host"] = self.metrics.host
        open_hosts = [name for name, host in hosts.items() if not _loopback(host)]
        if open_hosts:
            raise ValueError(
                f"{', '.join(open_hosts)} must be a loopback address, for it carries clear text"
            )
        return self


def load(path: Path) -> Settings:
    """Read the settings and check that the files they name can be used.

    Raises:
        SettingsError: With every fault found.
    """
    settings = parse(_read(path))
    faults = _file_faults(settings)
    if faults:
        raise SettingsError(faults)
    return settings


def parse(text: str) -> Settings:
    """Parse the YAML document without touching any file.

    Raises:
        SettingsError: With every fault found.
    """
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader, see below
        return Settings.model_validate(document)
    except yaml.YAMLError as error:
        place = str(error).replace("\n", " ")
        fault = SettingsFault("document", f"is not YAML: {place}", "mend the line it names")
        raise SettingsError([fault]) from error
    except ValidationError as error:
        raise SettingsError([_fault(detail) for detail in error.errors()]) from error


class _Loader(yaml.SafeLoader):
    """A SafeLoader that refuses a key written twice, where PyYAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", node.start_mark
                )
        return super().construct_mapping(node, deep=deep)


def _fault(detail: Any) -> SettingsFault:
    path = ".".join(str(part) for part in detail["loc"]) or "document"
    cures = {
        "extra_forbidden": "remove the key, or write it as docs/reference/gateway-settings.md does",
        "missing": "add the key; it has no default",
    }
    cure = cures.get(detail["type"], "see docs/reference/gateway-settings.md")
    return SettingsFault(path, detail["msg"].removeprefix("Value error, "), cure)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = SettingsFault(
            str(path), f"cannot be read ({_words(error)})", "name a readable file"
        )
        raise SettingsError([fault]) from error


def _file_faults(settings: Settings) -> list[SettingsFault]:
    faults: list[SettingsFault] = []
    readable = {
        "policy_file": settings.policy_file,
        "authority_file": settings.authority_file,
        "inbound.tls_certificate_file": settings.inbound.tls_certificate_file,
        "inbound.tls_key_file": settings.inbound.tls_key_file,
        "outbound.secret_file": settings.outbound.secret_file,
    }
    for name, file in readable.items():
        try:
            with file.open("rb"):
                pass
        except OSError as error:
            message = f"{file} cannot be read ({_words(error)})"
            faults.append(SettingsFault(name, message, "create the file or correct the path"))
    for name in ("inbound.tls_key_file", "outbound.secret_file"):
        file = readable[name]
        if file.is_file() and file.stat().st_mode & _OTHERS:
            faults.append(SettingsFault(name, f"{file} is open to others", f"chmod 600 {file}"))
    directories = {"state_file": settings.state_file.parent}
    if settings.audit_directory is not None:
        directories["audit_directory"] = settings.audit_directory
    for name, directory in directories.items():
        if not directory.is_dir():
            message = f"the directory {directory} is not there"
            faults.append(SettingsFault(name, message, "create the directory"))
    return faults


def read_secret(file: Path) -> str:
    """The proxy secret, without surrounding white space.

    Raises:
        SettingsError: If it is empty or holds more than printable ASCII.
    """
    secret = file.read_text(encoding="utf-8", errors="replace").strip()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        message = f"{file} holds no usable secret"
        cure = "write Synapse's worker_replication_secret there, one word of printable ASCII"
        raise SettingsError([SettingsFault("outbound.secret_file", message, cure)])
    return secret


def _words(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or "unknown" if isinstance(error, OSError) else "not UTF-8"


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
