"""Each finding of a look at a site, provoked; and a site of which nothing is to be said."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rabta_deploy.site.layout import below
from rabta_deploy.site.preflight import Finding, Severity, findings, gather
from rabta_deploy.site.preflight.facts import CertificateFacts, Facts, LiveFacts
from rabta_deploy.site.reading import load
from rabta_deploy.site.secrets_of_site import make_secrets
from rabta_deploy.site.trial import Trial, make
from rabta_policy import Standing

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOMESERVER = "synapse/homeserver.yaml"
ROUTER = "router/nginx.conf"
PAGE = Path(__file__).parents[3] / "docs/reference/preflight.md"
BACKUPS = {
    "directory": "/srv/backups",
    "recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """A trial site on a machine with a synchronised clock and room on its disk."""
    home = tmp_path_factory.mktemp("preflight")
    trial = Trial(home / "itt", home / "network", "ITT", "itt.gov.test")
    make(trial, lambda: NOW, {"backups": BACKUPS})
    site, layout = load(trial.file), below(trial.directory)
    make_secrets(site, layout)
    gathered = gather(site, layout, NOW)
    return replace(
        gathered, clock_synchronised=True, free_mib=dict.fromkeys(gathered.free_mib, 50_000)
    )


def codes(facts: Facts) -> dict[str, Severity]:
    return {one.code: one.severity for one in findings(facts)}


def with_homeserver(facts: Facts, **changes: Any) -> Facts:
    """As if somebody had edited the rendered file."""
    said = yaml.safe_load(facts.texts[HOMESERVER]) | changes
    return replace(facts, texts={**facts.texts, HOMESERVER: yaml.safe_dump(said)})


def with_router(facts: Facts, pattern: str, instead: str) -> Facts:
    text = re.sub(pattern, instead, facts.texts[ROUTER])
    assert text != facts.texts[ROUTER]
    return replace(facts, texts={**facts.texts, ROUTER: text})


def with_certificate(facts: Facts, **changes: Any) -> Facts:
    file = str(facts.site.client.certificate_file)
    found = facts.certificates[file]
    assert isinstance(found, CertificateFacts)
    return replace(facts, certificates={**facts.certificates, file: replace(found, **changes)})


def with_site(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, site=facts.site.model_copy(update=changes))


def with_mode(facts: Facts, mode: int | None) -> Facts:
    file = next(iter(facts.modes))
    return replace(facts, modes={**facts.modes, file: mode})


def test_of_a_good_site_there_is_nothing_to_say(good: Facts) -> None:
    assert findings(good) == []


PROVOKED: list[tuple[str, Severity, Callable[[Facts], Facts]]] = [
    ("policy-not-believed", Severity.ERROR, lambda f: replace(f, policy=None, standing=None)),
    ("policy-out-of-force", Severity.WARNING, lambda f: replace(f, standing=Standing.GRACE)),
    ("policy-out-of-force", Severity.ERROR, lambda f: replace(f, standing=Standing.EXPIRED)),
    ("server-not-pinned", Severity.ERROR, lambda f: with_site(f, server_name="law.gov.test")),
    (
        "pinned-key-differs",
        Severity.ERROR,
        lambda f: replace(f, verify_key=("ed25519:a_0000", "A" * 43)),
    ),
    (
        "next-key-not-pinned",
        Severity.WARNING,
        lambda f: replace(f, next_key=("ed25519:a_0000", "A" * 43)),
    ),
    (
        "pinned-port-differs",
        Severity.ERROR,
        lambda f: with_site(f, federation=f.site.federation.model_copy(update={"port": 1})),  # type: ignore[union-attr]
    ),
    (
        "open-registration",
        Severity.ERROR,
        lambda f: with_homeserver(f, enable_registration=True),
    ),
    ("weakened-setting", Severity.ERROR, lambda f: with_homeserver(f, allow_guest_access=True)),
    (
        "weak-ciphers",
        Severity.ERROR,
        lambda f: with_router(f, "TLSv1.2 TLSv1.3", "TLSv1 TLSv1.2"),
    ),
    ("weak-ciphers", Severity.ERROR, lambda f: with_router(f, "ECDHE.AESGCM", "AES128-SHA")),
    (
        "certificate-unreadable",
        Severity.ERROR,
        lambda f: replace(f, certificates=dict.fromkeys(f.certificates)),
    ),
    (
        "certificate-expired",
        Severity.ERROR,
        lambda f: with_certificate(f, not_after=NOW - timedelta(days=1)),
    ),
    (
        "certificate-ends-soon",
        Severity.WARNING,
        lambda f: with_certificate(f, not_after=NOW + timedelta(days=7)),
    ),
    (
        "certificate-of-another",
        Severity.ERROR,
        lambda f: with_certificate(f, names=("chat.fin.gov.test",)),
    ),
    (
        "certificate-weak",
        Severity.ERROR,
        lambda f: with_certificate(f, weak="a signature with sha1"),
    ),
    ("secret-missing", Severity.ERROR, lambda f: with_mode(f, None)),
    ("secret-open", Severity.ERROR, lambda f: with_mode(f, 0o640)),
    ("secret-weak", Severity.ERROR, lambda f: replace(f, weak_secrets=("macaroon",))),
    (
        "worker-route-missing",
        Severity.ERROR,
        lambda f: with_router(f, r'        "~\^\\S\+ /_matrix/media/" media;\n', ""),
    ),
    ("synapse-untested", Severity.ERROR, lambda f: replace(f, synapse="1.164.0")),
    ("door-not-loaded", Severity.ERROR, lambda f: with_homeserver(f, modules=[])),
    (
        "door-not-loaded",
        Severity.ERROR,
        lambda f: replace(f, live=LiveFacts(doors={"synapse-generic1": None})),
    ),
    (
        "policy-serial-differs",
        Severity.ERROR,
        lambda f: replace(f, live=LiveFacts(doors={"synapse-generic1": 0})),
    ),
    ("clock-unsynchronised", Severity.WARNING, lambda f: replace(f, clock_synchronised=False)),
    ("disk-low", Severity.WARNING, lambda f: replace(f, free_mib={"/var/lib/rabta": 100})),
    ("no-backups", Severity.WARNING, lambda f: with_site(f, backups=None)),
    (
        "configuration-edited",
        Severity.WARNING,
        lambda f: with_homeserver(f, max_upload_size="60M"),
    ),
    ("part-silent", Severity.ERROR, lambda f: replace(f, live=LiveFacts(silent=("router",)))),
    ("database-locale", Severity.ERROR, lambda f: replace(f, live=LiveFacts(locale="en_US.UTF-8"))),
]


@pytest.mark.parametrize(
    ("code", "severity", "change"), PROVOKED, ids=[f"{one[0]}-{one[1]}" for one in PROVOKED]
)
def test_a_fault_is_found_with_its_severity_place_and_cure(
    good: Facts, code: str, severity: Severity, change: Callable[[Facts], Facts]
) -> None:
    found = [one for one in findings(change(good)) if one.code == code]
    assert [one.severity for one in found][:1] == [severity]
    assert all(one.place and one.says and one.cure for one in found)


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        ({"trusted_key_servers": [{"server_name": "matrix.org"}]}, "matrix.org"),
        ({"default_identity_server": "https://vector.im"}, "vector.im"),
        ({"account_threepid_delegates": {"msisdn": "https://id.example.org"}}, "id.example.org"),
        ({"report_stats": True}, "matrix.org"),
        ({"url_preview_enabled": True}, "(any host that somebody names)"),
        ({"email": {"smtp_host": "smtp.example.com"}}, "smtp.example.com"),
        ({"turn_uris": ["turns:turn.example.com:5349?transport=tcp"]}, "turn.example.com"),
        ({"turn_uris": ["turn:8.8.8.8:3478"]}, "8.8.8.8"),
        (
            {"matrix_rtc": {"transports": [{"livekit_service_url": "https://sfu.example.com"}]}},
            "sfu.example.com",
        ),
        ({"oidc_providers": [{"issuer": "https://accounts.example.com"}]}, "accounts.example.com"),
        ({"recaptcha_public_key": "x"}, "www.recaptcha.net"),
    ],
)
def test_a_host_that_nobody_allowed_is_refused_by_its_name(
    good: Facts, settings: dict[str, Any], host: str
) -> None:
    (found,) = [one for one in findings(with_homeserver(good, **settings)) if "foreign" in one.code]
    assert found.severity is Severity.ERROR
    assert host in found.says


@pytest.mark.parametrize("uri", ["turns:turn.itt.gov.test:5349", "turn:10.1.2.3:3478"])
def test_the_ministrys_own_hosts_and_networks_are_no_finding(good: Facts, uri: str) -> None:
    assert "foreign-host" not in codes(with_homeserver(good, turn_uris=[uri]))


def test_push_is_refused_until_it_is_allowed_and_then_said_to_leave_the_country(
    good: Facts, whole: Any
) -> None:
    parts = tuple(part for part in gather(whole, below(Path("/x")), NOW).parts)
    asked = replace(good, parts=parts, site=whole.model_copy(update={"allowed_hosts": {}}))
    foreign = [one for one in findings(asked) if one.code == "foreign-host" and one.place == "push"]
    assert {"fcm.googleapis.com", "oauth2.googleapis.com"} == {
        one.says.split()[3] for one in foreign
    }
    allowed = replace(asked, site=whole)
    assert codes(allowed)["push-leaves-the-country"] is Severity.NOTE


def test_what_stands_in_the_files_is_what_is_looked_at(tmp_path: Path) -> None:
    trial = Trial(tmp_path / "itt", tmp_path / "network", "ITT", "itt.gov.test")
    make(trial, lambda: NOW, {})
    site, layout = load(trial.file), below(trial.directory)
    make_secrets(site, layout)
    layout.secret("macaroon").write_text("changeme")
    layout.secret("form").chmod(0o644)
    site.client.certificate_file.write_text("no certificate")
    site.policy.policy_file.unlink()
    edited = layout.config / ROUTER
    edited.parent.mkdir(parents=True)
    edited.write_text("events {}")
    found: list[Finding] = findings(gather(site, layout, NOW))
    assert {
        ("secret-weak", "macaroon"),
        ("secret-open", str(layout.secret("form"))),
        ("certificate-unreadable", str(site.client.certificate_file)),
        ("policy-not-believed", "policy.policy_file"),
        ("configuration-edited", ROUTER),
        ("worker-route-missing", ROUTER),
    } <= {(one.code, one.place) for one in found}
    assert not any("changeme" in one.says for one in found)


def test_every_finding_has_its_line_in_the_reference_and_its_test() -> None:
    told = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE)
    tested = {code for code, _, _ in PROVOKED} | {"foreign-host", "push-leaves-the-country"}
    assert set(told) == tested
    source = Path(__file__).parents[3] / "deploy/rabta_deploy/site/preflight"
    text = "".join(file.read_text() for file in source.glob("*.py"))
    words = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', text))
    no_codes = {"signing-key", "database-password", "matrix-synapse", "policy-missing", "e-mail"}
    assert words - no_codes - tested == set()
