"""The network's own certificate authority, kept in a directory across restarts.

It signs server certificates for the names of homeservers and gateways. It is for one
machine's trial network; a ministry brings its own.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import trustme
from cryptography import x509

from rabta_deploy.secretfile import write_secret

_LEAF_LIFETIME = timedelta(days=90)
_RENEW_BEFORE = timedelta(days=30)


class Leaf(NamedTuple):
    """Files of one server certificate: the PEM chain and its key (mode 0600)."""

    certificate_file: Path
    key_file: Path


class CertificateAuthority:
    """Own CA in `directory`: `ca.pem`, `ca.key` (0600), and `<name>.pem`, `<name>.key`."""

    def __init__(self, directory: Path) -> None:
        self.certificate_file = directory / "ca.pem"
        self._directory = directory
        key_file = directory / "ca.key"
        if self.certificate_file.exists() and key_file.exists():
            self._ca = trustme.CA.from_pem(
                self.certificate_file.read_bytes(), key_file.read_bytes()
            )
        else:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._ca = trustme.CA(organization_name="Rabta", organization_unit_name="Trial network")
            write_secret(key_file, self._ca.private_key_pem.bytes().decode())
            self.certificate_file.write_bytes(self._ca.cert_pem.bytes())

    @property
    def pem(self) -> str:
        """The CA certificate as PEM text, for a policy's `tls_ca`."""
        return self.certificate_file.read_text(encoding="ascii")

    def leaf(self, name: str, *, now: datetime) -> Leaf:
        """The certificate for a DNS name and 127.0.0.1; made anew 30 days before its end.

        Args:
            name: Subject alternative name, for example `itt.gov.test`.
            now: Timezone-aware; the certificate holds from a day before to 90 days after it.
        """
        leaf = Leaf(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        if not (leaf.key_file.exists() and _lasts(leaf.certificate_file, now + _RENEW_BEFORE)):
            made = self._ca.issue_cert(
                name,
                "127.0.0.1",
                not_before=now - timedelta(days=1),
                not_after=now + _LEAF_LIFETIME,
            )
            write_secret(leaf.key_file, made.private_key_pem.bytes().decode())
            chain = b"".join(part.bytes() for part in made.cert_chain_pems)
            leaf.certificate_file.write_bytes(chain)
        return leaf


def _lasts(certificate_file: Path, until: datetime) -> bool:
    """Whether a certificate exists and holds at least to `until`."""
    if not certificate_file.exists():
        return False
    certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    return certificate.not_valid_after_utc > until
