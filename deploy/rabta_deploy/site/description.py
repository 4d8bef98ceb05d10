"""`site.yaml`: what an operator says of a ministry's site.

No secret stands in it: what is secret is made by `rabta site render` or named by its file.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rabta_deploy.worker_config import Plan
from rabta_policy.record import RecordCategory

BRIDGE_ACCOUNT, ARCHIVE_ACCOUNT = "rabta", "archive"
"""Local parts of the accounts that a site's own programs use."""
_STRICT = ConfigDict(extra="forbid", frozen=True)
Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$")]
Code = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,8}$")]
# Secretariat Instructions: A is permanent, B is kept 10 years or more, C is kept 3 to 9 years.
_LEAST_DAYS = {RecordCategory.A: None, RecordCategory.B: 3_650, RecordCategory.C: 1_095}
Days = Annotated[int, Field(ge=1, le=36_500)]


def _absolute(path: Path | None) -> Path | None:
    if path is not None and not path.is_absolute():
        raise ValueError("give the whole path, from /")
    return path


class Face(BaseModel):
    """Where people or other ministries arrive, by TLS alone.

    Attributes:
        host: Address to listen on; loopback or the machine's own.
        port: TCP port.
        certificate_file: PEM chain, the server's own first.
        key_file: PEM private key, mode 0600.
    """

    model_config = _STRICT
    host: Host
    port: Port
    certificate_file: Path
    key_file: Path

    _whole = field_validator("certificate_file", "key_file")(_absolute)


class ClientFace(Face):
    """Where clients arrive.

    Attributes:
        name: DNS name that clients use, for example `chat.itt.gov.test`.
    """

    name: Host


class Policy(BaseModel):
    """The signed policy of the network and the authority keys this site pins."""

    model_config = _STRICT
    policy_file: Path
    authority_file: Path

    _whole = field_validator("policy_file", "authority_file")(_absolute)


class Database(BaseModel):
    """PostgreSQL: `managed` is one of the site's own parts, `external` is somebody else's care.

    Attributes:
        host: Of the external one; another machine is reached by TLS, its CA in `ca_file`.
        password_file: Mode 0600; the external role's password.
    """

    model_config = _STRICT
    kind: Literal["managed", "external"] = "managed"
    host: Host | None = None
    port: Port = 5432
    name: str = "synapse"
    user: str = "synapse"
    password_file: Path | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _whole_or_managed(self) -> "Database":
        named = {"host": self.host, "password_file": self.password_file, "ca_file": self.ca_file}
        given = sorted(name for name, value in named.items() if value is not None)
        if self.kind == "managed" and given:
            raise ValueError(f"{', '.join(given)}: only an external database is described so")
        if self.kind == "external" and (self.host is None or self.password_file is None):
            raise ValueError("an external database needs host and password_file")
        if self.host is not None and not _loopback(self.host) and self.ca_file is None:
            raise ValueError("ca_file: a database on another machine is reached by TLS alone")
        return self


class EOffice(BaseModel):
    """The e-Office whose events the bridge carries; the files hold what both sides share.

    Attributes:
        directory_file: Who is who; left out where the site has a staff service, which writes it.
    """

    model_config = _STRICT
    url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    ca_file: Path | None = None
    webhook_secret_file: Path
    command_secret_file: Path
    feed_token_file: Path
    directory_file: Path | None = None

    _whole = field_validator(
        "webhook_secret_file", "command_secret_file", "feed_token_file", "directory_file"
    )(_absolute)


class Staff(BaseModel):
    """The staff service: a ministry's HR or identity provider says by SCIM who serves where.

    Attributes:
        clients: Names of those who may; each gets a token of its own.
        subject: Which attribute of a person is the subject at the single sign-on.
    """

    model_config = _STRICT
    clients: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")], ...], Field(min_length=1)
    ] = ("hr",)
    subject: Literal["external_id", "user_name", "number"] = "external_id"


class Calls(BaseModel):
    """The ministry's own TURN server, so that no call's media leaves by another way.

    Attributes:
        host: Address to listen on.
        external_address: Public address behind a NAT, where there is one.
        name: DNS name in the certificate.
    """

    model_config = _STRICT
    name: Host
    host: Host
    external_address: Host | None = None
    port: Port = 5349
    relay_ports: tuple[Port, Port] = (49_152, 49_999)
    certificate_file: Path
    key_file: Path


class Push(BaseModel):
    """Wake-up calls for phones. Apple's and Google's servers are abroad: event ids alone go there.

    Attributes:
        app_id: As the client was built with.
        fcm_service_account_file: Google's credentials.
        apns_certificate_file: Apple's credentials.
    """

    model_config = _STRICT
    app_id: str
    fcm_service_account_file: Path | None = None
    apns_certificate_file: Path | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "Push":
        if self.fcm_service_account_file is None and self.apns_certificate_file is None:
            raise ValueError("name fcm_service_account_file, apns_certificate_file or both")
        return self


class SingleSignOn(BaseModel):
    """The ministry's OpenID Connect provider. Who did not prove two factors does not come in.

    Attributes:
        issuer: Its issuer URL.
        client_id: Ours at it.
        client_secret_file: Mode 0600.
        mfa_claim: Claim of the ID token that tells how somebody was authenticated.
        mfa_values: What the claim must hold one of.
    """

    model_config = _STRICT
    issuer: Annotated[str, Field(pattern=r"^https://\S+$")]
    client_id: str
    client_secret_file: Path
    mfa_claim: str = "acr"
    mfa_values: Annotated[tuple[str, ...], Field(min_length=1)] = ("mfa",)


class Scanner(BaseModel):
    """ClamAV's daemon, which documents pass before they are posted."""

    model_config = _STRICT
    clamd_socket: Path


class Retention(BaseModel):
    """How long messages and media are kept, by record category; None is for ever.

    Attributes:
        default_days: Of rooms without a category.
        categories: A category that is not named is for ever. The Secretariat Instructions' bounds
            hold: A is permanent, B is kept 10 years at least, C 3 years at least.
        remote_media_days: Of copies of other servers' media that nobody uses.
        every_hours: How often the records office goes through the rooms.
    """

    model_config = _STRICT
    default_days: Days | None = None
    categories: dict[RecordCategory, Days | None] = {
        RecordCategory.A: None,
        RecordCategory.B: 3_650,
        RecordCategory.C: 1_095,
        RecordCategory.D: 365,
    }
    remote_media_days: Days = 90
    every_hours: Annotated[int, Field(ge=1, le=168)] = 24

    @field_validator("categories")
    @classmethod
    def _within_bounds(cls, given: dict[RecordCategory, int | None]) -> dict[Any, Any]:
        for category, least in _LEAST_DAYS.items():
            days = given.get(category)
            if days is not None and (least is None or days < least):
                wanted = "for ever: give null" if least is None else f"at least {least} days"
                raise ValueError(f"category {category} is kept {wanted}")
        return given


AgeKey = Annotated[str, Field(pattern=r"^age1[a-z0-9]{58}$")]


class Archive(BaseModel):
    """The archiver: an account `archive` that people see in the rooms it records.

    Attributes:
        recipients: age public keys of the records office; nobody else reads what it keeps.
        classes: Room classes it records; it leaves every other room.
        invited_to: Room classes whose new rooms invite it by themselves, direct talks and rooms
            of the bridge excepted.
    """

    model_config = _STRICT
    recipients: Annotated[tuple[AgeKey, ...], Field(min_length=1)]
    classes: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "unclassified",
        "restricted",
        "confidential",
    )
    invited_to: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _records_where_it_is_invited(self) -> "Archive":
        if unrecorded := sorted(set(self.invited_to) - set(self.classes)):
            raise ValueError(f"invited_to: {', '.join(unrecorded)}: not one of its classes")
        return self


class Backups(BaseModel):
    """Where backups go, and for whose eyes.

    Attributes:
        directory: Better another disk.
        recipients: age public keys (`age1...`); their private halves are kept elsewhere.
        keep: How many good backups stay.
    """

    model_config = _STRICT
    directory: Path
    recipients: Annotated[tuple[AgeKey, ...], Field(min_length=1)]
    keep: Annotated[int, Field(ge=1)] = 14

    _whole = field_validator("directory")(_absolute)


class OldKey(BaseModel):
    """A signing key that signs no more; what it signed before stays verifiable.

    Attributes:
        key: Public half, unpadded base64.
        expired_ts: When it was replaced, in milliseconds since 1970.
    """

    model_config = _STRICT
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}$")]
    expired_ts: Annotated[int, Field(ge=1)]


class Monitoring(BaseModel):
    """Prometheus and Grafana beside the site, both on the loopback."""

    model_config = _STRICT
    keep_days: Days = 30


class Site(BaseModel):
    """A ministry's site.

    Attributes:
        organisation: Code in the policy's registry.
        server_name: Matrix server name, for ever: user ids carry it.
        size: How many processes and how much memory, see docs/reference/site.md.
        client: Where clients arrive.
        federation: Where other ministries arrive; without it nothing federates.
        plan: Worker processes, where the size's own do not fit.
        administrators: Local parts of those who may administer; each act of theirs is audited.
        ports_from: The loopback ports of the parts are counted up from here.
        old_signing_keys: Key id -> what was rotated away; `rabta site rotate` writes it.
        allowed_hosts: Hosts outside the policy that parts may contact, each with its reason.
    """

    model_config = _STRICT
    organisation: Code
    server_name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,228}[a-z0-9])?$")]
    size: Literal["trial", "ministry", "large"]
    client: ClientFace
    federation: Face | None = None
    policy: Policy
    database: Database = Database()
    plan: Plan | None = None
    eoffice: EOffice | None = None
    staff: Staff | None = None
    calls: Calls | None = None
    push: Push | None = None
    sso: SingleSignOn | None = None
    scanner: Scanner | None = None
    retention: Retention = Retention()
    archive: Archive | None = None
    backups: Backups | None = None
    monitoring: Monitoring | None = None
    administrators: tuple[Annotated[str, Field(pattern=r"^[a-z0-9._=/+-]+$")], ...] = ()
    ports_from: Annotated[int, Field(ge=1024, le=65_000)] = 18_000
    old_signing_keys: dict[Annotated[str, Field(pattern=r"^ed25519:\w+$")], OldKey] = {}
    allowed_hosts: dict[Host, Annotated[str, Field(min_length=1)]] = {}

    @model_validator(mode="after")
    def _one_directory(self) -> "Site":
        if self.eoffice is None:
            return self
        if self.eoffice.directory_file is None and self.staff is None:
            raise ValueError("eoffice.directory_file: name it, or give the site `staff`")
        if self.eoffice.directory_file is not None and self.staff is not None:
            raise ValueError("eoffice.directory_file: leave it out, the staff service writes it")
        return self

    def user_id(self, localpart: str) -> str:
        """Matrix user id of one of its accounts."""
        return f"@{localpart}:{self.server_name}"


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
