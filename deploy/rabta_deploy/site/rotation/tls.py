"""A certificate and its key: judged whole before they are put in place, then shown at once."""

import socket
import ssl
from datetime import datetime
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from rabta_deploy.fault import YardError
from rabta_deploy.process import until
from rabta_deploy.secretfile import replace_secret
from rabta_deploy.site.description import Calls, Face, Site
from rabta_deploy.site.parts import workloads
from rabta_deploy.site.rotation import AtWork
from rabta_policy import Policy

FACES = ("client", "federation", "calls")
_PART = {"client": "router", "federation": "gateway", "calls": "turn"}
# nginx takes it for the connections to come and lets the present ones end; so does coturn. The
# gateway looks at its files every second and needs no telling.
_SIGNAL = {"client": "HUP", "calls": "USR2"}
_SHOWN_WITHIN_S = 30


def rotate(
    site: Site,
    at: AtWork,
    which: str,
    pair: tuple[Path, Path],
    policy: Policy,
    *,
    dry: bool = False,
) -> list[str]:
    """Put a new pair in the place of the one that a face shows.

    Args:
        site: The site.
        at: The same, as it runs.
        which: One of `FACES`.
        pair: PEM chain, the server's own first, and its PEM key.
        policy: Its CA is what other ministries verify the border by.
        dry: Judge only.

    Raises:
        YardError: `no-such-part`, `certificate-refused`, `certificate-not-shown`.
    """
    chosen = {"client": site.client, "federation": site.federation, "calls": site.calls}[which]
    if chosen is None:
        raise YardError("no-such-part", f"The site has no {which}.", f"one of {', '.join(FACES)}")
    # Faces may share their files: each of them gets the new pair, so it must be good for each.
    faces = {name: face for name, face in _faces(site).items() if _files(face) == _files(chosen)}
    certificate, key = (_read(file) for file in pair)
    for name in faces:
        server = policy.server(site.server_name) if name == "federation" else None
        judge(certificate, key, _name(site, name), server.tls_ca if server else None, at.now)
    end = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    if dry:
        return [f"The pair is good for {', '.join(faces)} until {end:%F}."]
    replace_secret(chosen.key_file, key.decode())
    replace_secret(chosen.certificate_file, certificate.decode(), mode=0o644)
    parts = {part.name: part for part in workloads(site, at.layout)}
    for name, face in faces.items():
        at.report(f"showing it at {name}")
        if name in _SIGNAL:
            at.control.signal(parts[_PART[name]], _SIGNAL[name])
        if not until(partial(shows, face, certificate), within_s=_SHOWN_WITHIN_S):
            raise YardError(
                "certificate-not-shown",
                f"{_PART[name]} at {face.host}:{face.port} still shows another certificate.",
                "read its log; the same command may be given again",
            )
    return [f"Shown by {', '.join(_PART[name] for name in faces)}; it holds until {end:%F}."]


def judge(certificate: bytes, key: bytes, name: str, ca: str | None, now: datetime) -> None:
    """Refuse a pair that would not serve.

    Args:
        certificate: PEM chain, the server's own first.
        key: PEM private key.
        name: DNS name it is shown for.
        ca: PEM certificates it must chain to; None: any.
        now: Timezone-aware.

    Raises:
        YardError: `certificate-refused`.
    """
    try:
        own, *between = x509.load_pem_x509_certificates(certificate)
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise _refused("it is no PEM chain, or no PEM key without a password") from error
    if private.public_key() != own.public_key():
        raise _refused("the key belongs to another certificate")
    if not own.not_valid_before_utc <= now < own.not_valid_after_utc:
        raise _refused(
            f"it holds from {own.not_valid_before_utc:%F} to {own.not_valid_after_utc:%F}"
        )
    try:
        found = own.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        raise _refused("it names no DNS name") from None
    if name not in found.value.get_values_for_type(x509.DNSName):
        raise _refused(f"it is not for {name}")
    if ca is not None:
        store = Store(x509.load_pem_x509_certificates(ca.encode()))
        # A border verifies as OpenSSL does, which leaves open what of a name is critical.
        asked = PolicyBuilder().store(store).time(now)
        asked = asked.extension_policies(
            ca_policy=ExtensionPolicy.webpki_defaults_ca(),
            ee_policy=ExtensionPolicy.permit_all().require_present(
                x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
            ),
        )
        verifier = asked.build_server_verifier(x509.DNSName(name))
        try:
            verifier.verify(own, between)
        except VerificationError as error:
            raise _refused(f"it does not chain to the policy's CA ({error})") from error


def shows(face: Face | Calls, certificate: bytes) -> bool:
    """Whether who connects to a face now is shown this certificate."""
    context = ssl.create_default_context()
    # The certificate itself is compared, nothing is sent.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((face.host, face.port), timeout=5) as plain,
            context.wrap_socket(plain) as encrypted,
        ):
            shown = encrypted.getpeercert(binary_form=True)
    except OSError:
        return False
    wanted = x509.load_pem_x509_certificate(certificate)
    return shown == wanted.public_bytes(serialization.Encoding.DER)


def _faces(site: Site) -> dict[str, Face | Calls]:
    found = {"client": site.client, "federation": site.federation, "calls": site.calls}
    return {name: face for name, face in found.items() if face is not None}


def _files(face: Face | Calls) -> tuple[Path, Path]:
    return face.certificate_file, face.key_file


def _name(site: Site, which: str) -> str:
    if which == "calls" and site.calls is not None:
        return site.calls.name
    return site.client.name if which == "client" else site.server_name


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _refused(f"{file} cannot be read") from error


def _refused(why: str) -> YardError:
    return YardError(
        "certificate-refused", f"Nothing was put in place: {why}.", "bring another pair"
    )
