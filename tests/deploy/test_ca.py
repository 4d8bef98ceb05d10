"""The trial network's own certificate authority."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from rabta_deploy.ca import CertificateAuthority

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def test_the_same_authority_signs_after_a_restart(tmp_path: Path) -> None:
    first = CertificateAuthority(tmp_path)

    second = CertificateAuthority(tmp_path)

    assert second.pem == first.pem
    leaf = certificate(second.leaf("itt.gov.test", now=NOW).certificate_file)
    leaf.verify_directly_issued_by(certificate(first.certificate_file))


def test_a_certificate_names_its_server_and_this_machine(tmp_path: Path) -> None:
    leaf = CertificateAuthority(tmp_path).leaf("itt.gov.test", now=NOW)

    names = certificate(leaf.certificate_file).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["itt.gov.test"]
    assert [str(ip) for ip in names.value.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_a_certificate_is_kept_until_thirty_days_before_its_end(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    first = authority.leaf("itt.gov.test", now=NOW).certificate_file.read_bytes()

    after_59 = authority.leaf("itt.gov.test", now=NOW + timedelta(days=59))
    assert after_59.certificate_file.read_bytes() == first
    after_61 = authority.leaf("itt.gov.test", now=NOW + timedelta(days=61))
    assert after_61.certificate_file.read_bytes() != first


def test_keys_are_for_their_own_user_only(tmp_path: Path) -> None:
    leaf = CertificateAuthority(tmp_path).leaf("itt.gov.test", now=NOW)

    assert leaf.key_file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
