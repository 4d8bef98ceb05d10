"""Organisations as dated facts: what each is, under whom, on which server, and since when."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rabta_policy.moments import Moment

Kind = Literal[
    "apex",
    "division",
    "division-equivalent",
    "parliament",
    "attached",
    "subordinate",
    "company",
    "corporation",
    "authority",
    "autonomous",
    "regulator",
    "statutory",
    "guest",
]
DIVISION_KINDS = frozenset({"apex", "division", "division-equivalent"})
"""Kinds that stand to each other as division to division."""

PhaseName = Literal["pilot", "federal", "attached", "nationwide"]
Status = Literal["planned", "active", "suspended", "retired"]
Ceiling = Literal["unclassified", "restricted", "confidential"]

Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{1,15}$", examples=["FIN"])]
Name = Annotated[str, Field(min_length=1, max_length=200)]
ServerName = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9]([a-z0-9.-]{0,228}[a-z0-9])?(:[0-9]{1,5})?$", examples=["fin.gov.test"]
    ),
]
KeyId = Annotated[str, Field(pattern=r"^ed25519:[A-Za-z0-9_]{1,100}$", examples=["ed25519:1"])]
# Unpadded base64 of 32 bytes; the last letter carries four bits, so few letters can stand there.
PublicKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]$")]
Certificates = Annotated[
    str,
    Field(
        max_length=65536,
        pattern=r"^(\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+$",
        description="PEM of the CA (or CAs) that the server's TLS certificate is verified with",
    ),
]


class Address(BaseModel):
    """Where a server's federation listener is found. No DNS record or .well-known is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(pattern=r"^[A-Za-z0-9:.-]{1,253}$", description="host name, IPv4 or IPv6")
    port: int = Field(ge=1, le=65535, strict=True)


class Server(BaseModel):
    """A homeserver as it is pinned. Without address, CA and keys it does not federate (R6)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ServerName
    address: Address | None = None
    tls_ca: Certificates | None = Field(
        default=None, description="left out: the network's `tls_ca` holds"
    )
    verify_keys: dict[KeyId, PublicKey] = Field(
        default_factory=dict, description="the homeserver's signing keys; two during a rotation"
    )

    @property
    def pinned(self) -> bool:
        """Whether address, CA and at least one key are known."""
        return self.address is not None and self.tls_ca is not None and bool(self.verify_keys)


class Change(BaseModel):
    """A later state: a rename, a new parent, a merger or a split.

    Merged is retired with one successor, split is retired with several. Only what is written
    changes; the rest stays as it was.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_: Moment = Field(alias="from", description="when it takes effect")
    order: str | None = Field(default=None, max_length=200, description="the order it rests on")
    kind: Kind | None = None
    parent: Code | None = Field(default=None, description="null: no parent from now on")
    name: Name | None = None
    name_ur: Name | None = None
    phase: PhaseName | None = None
    status: Status | None = None
    ceiling: Ceiling | None = None
    successors: tuple[Code, ...] = Field(
        default=(), description="who follows a retired organisation; the first keeps its server"
    )


class OrganisationEntry(BaseModel):
    """An organisation as the policy writes it: how it began, and what changed since."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Code = Field(description="the registry's own; never changes, never used again")
    from_: Moment = Field(alias="from", description="since when it stands in the registry")
    kind: Kind
    parent: Code | None = None
    name: Name
    name_ur: Name
    phase: PhaseName
    status: Status
    ceiling: Ceiling = Field(description="the highest class of room its people may be in")
    successors: tuple[Code, ...] = ()
    server: Server | None = None
    changes: tuple[Change, ...] = Field(default=(), description="in order of time")
