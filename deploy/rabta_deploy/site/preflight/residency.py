"""Whom a site would call beyond its machine, and whether it may: no byte leaves by accident."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import yaml

from rabta_deploy.site.outward_parts import APPLE, GOOGLE
from rabta_deploy.site.preflight.facts import Facts
from rabta_deploy.site.preflight.finding import Finding, Severity
from rabta_deploy.site.workload import Contact

_ABROAD = {APPLE, *GOOGLE}
ANYWHERE = "(any host that somebody names)"


def check(facts: Facts) -> Iterator[Finding]:
    """Findings `foreign-host` and `push-leaves-the-country`."""
    for place, contact in contacts(facts):
        if contact.host in _ABROAD and contact.host in facts.site.allowed_hosts:
            yield Finding(
                "push-leaves-the-country",
                Severity.NOTE,
                place,
                f"{contact.host} is abroad, by the nature of {contact.why}",
                "nothing more leaves than an event id; leave `push` out to send none",
            )
        elif not _may_call(facts, contact.host):
            yield Finding(
                "foreign-host",
                Severity.ERROR,
                place,
                f"it would contact {contact.host} ({contact.why}), which neither the policy nor "
                "allowed_hosts names",
                "take it out, or name it in allowed_hosts with the reason",
            )


def contacts(facts: Facts) -> Iterator[tuple[str, Contact]]:
    """Whom every part would call, as described and as its configuration says now."""
    for part in facts.parts:
        for contact in part.contacts:
            if not contact.host.startswith("("):  # the policy's own servers
                yield part.name, contact
    homeserver = "synapse/homeserver.yaml"
    said = yaml.safe_load(facts.texts.get(homeserver, "")) or {}
    for contact in _of_homeserver(said):
        yield homeserver, contact


def _of_homeserver(said: Mapping[str, Any]) -> Iterator[Contact]:
    """Whom Synapse's own settings would have it call."""
    if said.get("report_stats"):
        url = said.get("report_stats_endpoint", "https://matrix.org/report-usage-stats/push")
        yield Contact(_host(url), "usage statistics")
    if said.get("url_preview_enabled"):
        yield Contact(ANYWHERE, "previews of links")
    if said.get("recaptcha_public_key"):
        yield Contact("www.recaptcha.net", "captchas")
    for url, why in _named(said):
        if url:
            yield Contact(_host(str(url)), why)


def _named(said: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    yield said.get("default_identity_server"), "an identity server"
    yield (said.get("email") or {}).get("smtp_host"), "e-mail"
    for server in said.get("trusted_key_servers") or []:
        yield server.get("server_name"), "a notary of server keys"
    for server in (said.get("account_threepid_delegates") or {}).values():
        yield server, "an identity server"
    for uri in said.get("turn_uris") or []:
        yield uri.partition(":")[2].partition("?")[0], "TURN"
    for transport in (said.get("matrix_rtc") or {}).get("transports") or []:
        yield transport.get("livekit_service_url"), "the SFU of calls"
    for provider in said.get("oidc_providers") or []:
        yield provider.get("issuer"), "single sign-on"


def _may_call(facts: Facts, host: str) -> bool:
    if host in facts.site.allowed_hosts:
        return True
    try:
        return not ip_address(host).is_global
    except ValueError:
        pass
    own = facts.site.server_name
    if host in {"localhost", own} or host.endswith(f".{own}"):
        return True
    return facts.policy is not None and host in facts.policy.server_names


def _host(url: str) -> str:
    return urlsplit(url if "://" in url else f"https://{url}").hostname or url
