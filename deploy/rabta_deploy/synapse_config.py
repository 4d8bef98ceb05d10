"""What our homeservers' `homeserver.yaml` says: pure values in, one document out.

Everything that Matrix opens by default and a ministry does not need is closed here.
Setting names as in Synapse's configuration manual.
"""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rabta_deploy import worker_config
from rabta_deploy.worker_config import WorkerSettings

# Design fact 7: chosen, not inherited. Room version 12 is Synapse's default, but nio and many
# clients misread its powers and ids; 11 carries all we need. Tests run both.
DEFAULT_ROOM_VERSION = "11"
ROOM_CLASS_EVENT = "org.rabta.room.class"

# Per second and burst, for each account. The stock limits are for strangers on the internet;
# here every account is a known officer, and e-Office may move fifty files in a minute.
_LIMITS: dict[str, Any] = {
    "rc_message": {"per_second": 5, "burst_count": 50},
    "rc_room_creation": {"per_second": 1, "burst_count": 30},
    "rc_joins": {
        "local": {"per_second": 5, "burst_count": 50},
        "remote": {"per_second": 1, "burst_count": 30},
    },
    "rc_joins_per_room": {"per_second": 10, "burst_count": 100},
    "rc_invites": {
        "per_room": {"per_second": 5, "burst_count": 100},
        "per_user": {"per_second": 1, "burst_count": 50},
        "per_issuer": {"per_second": 5, "burst_count": 100},
    },
    # All clients of a one-machine network share one address.
    "rc_login": {
        "address": {"per_second": 5, "burst_count": 100},
        "account": {"per_second": 1, "burst_count": 30},
        "failed_attempts": {"per_second": 0.17, "burst_count": 5},
    },
}


class DoorSettings(BaseModel):
    """What the door module is told: files, how often it looks, the ministry's bots."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy_file: Path
    authority_file: Path
    reload_interval_ms: int = Field(default=500, ge=100, le=1000)
    audit_directory: Path | None = None
    ministry_bot: str | None = None
    archiver: str | None = None
    archived_classes: tuple[str, ...] = ()


class SynapseFiles(BaseModel):
    """Files of one homeserver.

    Attributes:
        directory: Holds what is rendered, and all the rest where nothing else is said.
        secrets: Holds keys and secrets, without the ending `.secret`.
        state: Holds what Synapse writes: media, and the database of a small one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: Path
    secrets: Path | None = None
    state: Path | None = None

    @property
    def config(self) -> Path:
        """`homeserver.yaml`."""
        return self.directory / "homeserver.yaml"

    @property
    def log_config(self) -> Path:
        """Python logging configuration, as Synapse wants it."""
        return self.directory / "log.yaml"

    @property
    def log(self) -> Path:
        """What the process writes."""
        return self.directory / "homeserver.log"

    @property
    def database(self) -> Path:
        """The SQLite database, when no PostgreSQL URL is given."""
        return (self.state or self.directory) / "homeserver.db"

    @property
    def signing_key(self) -> Path:
        """The server's Ed25519 signing key."""
        return (self.secrets or self.directory) / "signing.key"

    @property
    def gateway_secret(self) -> Path:
        """Shared with the border gateway: `worker_replication_secret`."""
        return self.secret("replication" if self.secrets else "gateway")

    @property
    def admin_token(self) -> Path:
        """Access token of the administrator's account."""
        return self.directory / "admin.token"

    def secret(self, name: str) -> Path:
        """Another secret by its name."""
        if self.secrets is not None:
            return self.secrets / name
        return self.directory / f"{name}.secret"

    @property
    def media(self) -> Path:
        """What people uploaded, and what came from other servers."""
        return (self.state or self.directory) / "media"


class SynapseSettings(BaseModel):
    """What differs between one homeserver and the next.

    Attributes:
        server_name: Matrix server name without a port.
        client_port: Loopback port of the client and admin APIs.
        federation_port: Loopback port of the plain federation API, behind the gateway.
        gateway_out_port: Loopback port of the gateway's outbound side; None: no way out.
        metrics_port: Loopback port of Prometheus metrics; None: no metrics.
        door: The door module's settings; None: the module is not loaded and nothing federates.
        database: `sqlite`, or `postgresql://user:password@host:port/name`.
        default_room_version: For rooms that do not ask for another one.
        workers: The ports of many processes behind a router; None: one process.
        overrides: Settings that replace the rendered ones at the top level, for tests.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    server_name: str = Field(pattern=r"^[a-z0-9.-]+$")
    client_port: int
    federation_port: int
    gateway_out_port: int | None = None
    metrics_port: int | None = None
    door: DoorSettings | None = None
    database: str = "sqlite"
    default_room_version: str = DEFAULT_ROOM_VERSION
    workers: WorkerSettings | None = None
    overrides: dict[str, Any] = {}

    @model_validator(mode="after")
    def _workers_share_a_database(self) -> "SynapseSettings":
        if self.workers is not None and self.database == "sqlite":
            raise ValueError("database: workers share one, so it must be PostgreSQL")
        return self


def document(settings: SynapseSettings, files: SynapseFiles) -> dict[str, Any]:
    """The whole `homeserver.yaml` as plain values."""
    return (
        _identity(settings, files)
        | _closed_doors(settings)
        | _LIMITS
        | {"listeners": _listeners(settings), "enable_metrics": settings.metrics_port is not None}
        | {"database": _database(settings, files)}
        | (worker_config.shared_document(settings.workers) if settings.workers else {})
        | _other_processes(settings, files)
        | _door(settings.door)
        | settings.overrides
    )


def log_document() -> dict[str, Any]:
    """Logging to standard error: who asked for which path and how it went, no content."""
    return {
        "version": 1,
        "formatters": {
            "line": {"format": "%(asctime)s %(levelname)s %(name)s %(request)s %(message)s"}
        },
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "line"},
        },
        # At DEBUG the SQL logger would print every value written.
        "loggers": {"synapse.storage.SQL": {"level": "WARNING"}},
        "root": {"level": "INFO", "handlers": ["console"]},
        "disable_existing_loggers": False,
    }


def _identity(settings: SynapseSettings, files: SynapseFiles) -> dict[str, Any]:
    return {
        "server_name": settings.server_name,
        "public_baseurl": f"http://127.0.0.1:{settings.client_port}/",
        "signing_key_path": str(files.signing_key),
        "registration_shared_secret_path": str(files.secret("registration")),
        "macaroon_secret_key_path": str(files.secret("macaroon")),
        "form_secret_path": str(files.secret("form")),
        "media_store_path": str(files.media),
        "log_config": str(files.log_config),
        "default_room_version": settings.default_room_version,
        "encryption_enabled_by_default_for_room_type": "all",
        "room_prejoin_state": {"additional_event_types": [ROOM_CLASS_EVENT]},
        # The gateway sees the network, Synapse sees only the gateway: what a new policy
        # opens must be tried again within seconds, not after the stock ten minutes.
        "federation": {
            "client_timeout": "30s",
            "destination_min_retry_interval": "1s",
            "destination_retry_multiplier": 2,
            "destination_max_retry_interval": "5s",
            "max_long_retry_delay": "5s",
            "max_long_retries": 2,
        },
        "user_directory": {"enabled": True, "search_all_users": True},
        "max_upload_size": "50M",
        # A dehydrated device (MSC3814) keeps the keys of cards that come while an officer has
        # no session; the next session, once signed with the recovery key, reads them.
        "experimental_features": {"msc3814_enabled": True},
    }


def _closed_doors(settings: SynapseSettings) -> dict[str, Any]:
    return {
        # Closed until the door module has read a policy; it fills the dict in place.
        "federation_domain_whitelist": [],
        "trusted_key_servers": [],
        "suppress_key_server_warning": True,
        "enable_registration": False,
        "allow_guest_access": False,
        "enable_3pid_lookup": False,
        "report_stats": False,
        "presence": {"enabled": False},
        "url_preview_enabled": False,
        "enable_search": False,  # it would index what is not encrypted
        "allow_public_rooms_over_federation": False,
        "allow_public_rooms_without_auth": False,
        "allow_device_name_lookup_over_federation": False,
        "require_auth_for_profile_requests": True,
        "enable_authenticated_media": True,
        "serve_server_wellknown": False,
        "admin_contact": f"mailto:rabta-admin@{settings.server_name}",
    }


def _listeners(settings: SynapseSettings) -> list[dict[str, Any]]:
    ports = [(settings.client_port, "client"), (settings.federation_port, "federation")]
    listeners: list[dict[str, Any]] = [
        {
            "port": port,
            "bind_addresses": ["127.0.0.1"],
            "type": "http",
            "tls": False,
            "resources": [{"names": [name], "compress": False}],
        }
        for port, name in ports
    ]
    if settings.metrics_port is not None:
        listeners.append(
            {"port": settings.metrics_port, "bind_addresses": ["127.0.0.1"], "type": "metrics"}
        )
    return listeners


def _database(settings: SynapseSettings, files: SynapseFiles) -> dict[str, Any]:
    if settings.database == "sqlite":
        return {"name": "sqlite3", "args": {"database": str(files.database)}}
    parts = urlsplit(settings.database)
    args: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port,
        "user": unquote(parts.username) if parts.username else None,
        "dbname": parts.path.lstrip("/"),
        "cp_min": 2,
        "cp_max": 5,
        **{
            key: int(values[-1]) if values[-1].isdecimal() else values[-1]
            for key, values in parse_qs(parts.query).items()
        },
    }
    if parts.password:
        args["passfile"] = str(files.secret("pgpass"))
    return {
        "name": "psycopg2",
        "args": {key: value for key, value in args.items() if value is not None},
    }


def pgpass(database: str) -> str | None:
    """The line of libpq's password file for a PostgreSQL URL, or None when it has none."""
    password = urlsplit(database).password
    if not password:
        return None
    escaped = unquote(password).replace("\\", "\\\\").replace(":", "\\:")
    return f"*:*:*:*:{escaped}\n"


def _other_processes(settings: SynapseSettings, files: SynapseFiles) -> dict[str, Any]:
    """Where the workers are, and the gateway, through which every process reaches others."""
    if settings.gateway_out_port is None and settings.workers is None:
        return {}
    # Synapse wants its own place named; one process never connects to it.
    places = {"main": {"host": "127.0.0.1", "port": settings.client_port}}
    if settings.workers is not None:
        places = worker_config.instances(settings.workers)
    found: dict[str, Any] = {
        "instance_map": places,
        "worker_replication_secret_path": str(files.gateway_secret),
    }
    if settings.gateway_out_port is not None:
        places["gateway"] = {"host": "127.0.0.1", "port": settings.gateway_out_port}
        found["outbound_federation_restricted_to"] = ["gateway"]
    return found


def _door(door: DoorSettings | None) -> dict[str, Any]:
    if door is None:
        return {}
    return {
        "modules": [
            {
                "module": "rabta_synapse.Door",
                "config": door.model_dump(mode="json", exclude_none=True),
            }
        ]
    }
