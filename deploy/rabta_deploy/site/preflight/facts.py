"""Gathers what is true of a site and its machine, and judges nothing."""

import ctypes
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from rabta_deploy.homeserver import VerifyKey
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.parts import workloads
from rabta_deploy.site.rendering import config_files
from rabta_deploy.site.secrets_of_site import NEXT_KEY, wanted_secrets
from rabta_deploy.site.workload import Workload
from rabta_policy import Authority, Policy, PolicyError, Standing, open_signed

_UNSYNCHRONISED = 0x0040
"""STA_UNSYNC of adjtimex(2)."""
_TIMEX_BYTES, _STATUS_AT = 208, 40
"""`struct timex` on 64-bit Linux: 208 bytes, `int status` at byte 40."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """A PEM certificate, as far as it matters here.

    Attributes:
        names: DNS names it is for.
        weak: Why it can be forged, or empty.
    """

    not_after: datetime
    names: tuple[str, ...]
    weak: str


@dataclass(frozen=True, slots=True)
class LiveFacts:
    """What a running site says of itself.

    Attributes:
        silent: Parts that do not answer.
        doors: Synapse process -> serial that its door follows; None: no door there.
        locale: Collation of the homeserver's database.
    """

    silent: tuple[str, ...] = ()
    doors: Mapping[str, int | None] = field(default_factory=dict)
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is judged.

    Attributes:
        site: As described.
        parts: As rendered from it.
        texts: Configuration path -> what stands there now; as rendered where nothing does.
        certificates: File -> what it is; None: it cannot be read.
        modes: Secret or key file -> its mode; None: it is not there.
        weak_secrets: Names of secrets that are short or well known.
        policy: The signed policy; None when it is not believed.
        policy_reason: Why it is not.
        standing: Whether the policy is in force.
        next_key: The same of the key that is to be rotated to; None: none is.
        verify_key: Our public signing key, key id and base64; None: not made yet.
        synapse: Installed release; None: none.
        tested: Releases that the guard was tested with.
        clock_synchronised: Whether the kernel says so.
        free_mib: Directory -> free MiB.
        live: Of a running site.
    """

    site: Site
    parts: tuple[Workload, ...]
    now: datetime
    texts: Mapping[str, str]
    certificates: Mapping[str, CertificateFacts | None]
    modes: Mapping[str, int | None]
    weak_secrets: tuple[str, ...]
    policy: Policy | None
    policy_reason: str
    standing: Standing | None
    verify_key: tuple[str, str] | None
    next_key: tuple[str, str] | None
    synapse: str | None
    tested: tuple[str, ...]
    clock_synchronised: bool
    free_mib: Mapping[str, int]
    live: LiveFacts | None = None


def gather(site: Site, layout: Layout, now: datetime, live: LiveFacts | None = None) -> Facts:
    """Look at the site's files and at this machine."""
    parts = workloads(site, layout)
    policy, reason = policy_of(site)
    synapse, tested = _releases(layout.python)
    rendered = config_files(parts)
    return Facts(
        site=site,
        parts=parts,
        now=now,
        texts={path: _text(layout.config / path) or text for path, text in rendered.items()},
        certificates={str(file): _certificate(file) for file in _certificate_files(site)},
        modes={str(file): _mode(file) for file in _secret_files(site, layout)},
        weak_secrets=tuple(
            name for name in sorted(wanted_secrets(site, layout)) if _weak(layout.secret(name))
        ),
        policy=policy,
        policy_reason=reason,
        standing=policy.standing(now) if policy else None,
        verify_key=_verify_key(layout.secret("signing.key")),
        next_key=_verify_key(layout.secret(NEXT_KEY)),
        synapse=synapse,
        tested=tested,
        clock_synchronised=_clock_synchronised(),
        free_mib={str(layout.state): _free_mib(layout.state)},
        live=live,
    )


def _certificate_files(site: Site) -> list[Path]:
    faces = [face for face in (site.client, site.federation, site.calls) if face is not None]
    return [face.certificate_file for face in faces]


def _secret_files(site: Site, layout: Layout) -> list[Path]:
    brought = [face.key_file for face in (site.client, site.federation, site.calls) if face]
    if site.sso is not None:
        brought.append(site.sso.client_secret_file)
    if site.eoffice is not None:
        office = site.eoffice
        brought += [office.webhook_secret_file, office.command_secret_file, office.feed_token_file]
    if site.database.password_file is not None:
        brought.append(site.database.password_file)
    made = [
        layout.secret(name)
        for name in sorted(wanted_secrets(site, layout))
        # They come with the managed database, when it first runs.
        if not name.endswith("database-password") or layout.secret(name).exists()
    ]
    return [*brought, *made]


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _mode(file: Path) -> int | None:
    try:
        return file.stat().st_mode & 0o777
    except OSError:
        return None


_SHORTEST = 16
_WELL_KNOWN = ("changeme", "secret", "password", "example", "default", "admin", "test")


def _weak(file: Path) -> bool:
    text = _text(file)
    if text is None or not text.strip():
        return False
    words = text.strip().lower()
    return len(words) < _SHORTEST or any(words.startswith(known) for known in _WELL_KNOWN)


def _certificate(file: Path) -> CertificateFacts | None:
    try:
        found = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return None
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        dns = tuple(names.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        dns = ()
    return CertificateFacts(found.not_valid_after_utc, dns, _weakness(found))


_RSA_BITS = 2048


def _weakness(certificate: x509.Certificate) -> str:
    key, digest = certificate.public_key(), certificate.signature_hash_algorithm
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_BITS:
        return f"an RSA key of {key.key_size} bits"
    if digest is not None and digest.name in {"md5", "sha1"}:
        return f"a signature with {digest.name}"
    return ""


def policy_of(site: Site) -> tuple[Policy | None, str]:
    """The signed policy, or None and why it is not believed."""
    try:
        authority = Authority.parse(site.policy.authority_file.read_text(encoding="utf-8"))
        return open_signed(site.policy.policy_file.read_bytes(), authority), ""
    except PolicyError as error:
        return None, error.reason
    except (OSError, UnicodeDecodeError):
        return None, "policy-missing"


def _verify_key(file: Path) -> tuple[str, str] | None:
    text = _text(file)
    if text is None:
        return None
    return VerifyKey.of(text)


# Asked of the interpreter that runs the site, which need not be ours.
_RELEASES = (
    "import importlib.metadata as m, json\n"
    "from rabta_synapse.private import TESTED_SYNAPSE\n"
    "print(json.dumps([m.version('matrix-synapse'), *TESTED_SYNAPSE]))"
)


def _releases(python: str) -> tuple[str | None, tuple[str, ...]]:
    """The installed Synapse, and the releases that the guard was tested with."""
    try:
        asked = subprocess.run(  # noqa: S603 - the site's own interpreter, our own words
            [python, "-c", _RELEASES], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None, ()
    installed, *tested = json.loads(asked.stdout)
    return installed, tuple(tested)


def _clock_synchronised() -> bool:
    """What the kernel says; adjtimex(2) with nothing to set only asks."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
        return False
    status = int.from_bytes(buffer.raw[_STATUS_AT : _STATUS_AT + 4], "little")
    return not status & _UNSYNCHRONISED


def _free_mib(directory: Path) -> int:
    there = next(path for path in (directory, *directory.parents) if path.exists())
    return shutil.disk_usage(there).free // (1024 * 1024)
