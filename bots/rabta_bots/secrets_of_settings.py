"""Reads the secrets that the settings name; what is wrong with a file is told by its setting."""

import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rabta_bots.faults import Fault, SettingsError
from rabta_bots.settings import Settings
from rabta_contract.secrets_file import (
    SecretError,
    SigningSecrets,
    load_signing_secrets,
    load_token,
)

T = TypeVar("T")


def _secret(setting: str, load: Callable[[Path], T], path: Path) -> T:
    try:
        return load(path)
    except SecretError as error:
        fault = Fault(setting, f"{error}.", "see docs/reference/bridge-settings.md")
        raise SettingsError([fault]) from error


def feed_token(settings: Settings) -> str:
    """The bearer token of e-Office's feed."""
    return _secret("eoffice.feed_token_file", load_token, settings.eoffice.feed_token_file)


def command_secrets(settings: Settings) -> SigningSecrets:
    """What signs commands to e-Office."""
    path = settings.eoffice.command_secret_file
    return _secret("eoffice.command_secret_file", load_signing_secrets, path)


def webhook_secrets(settings: Settings) -> SigningSecrets:
    """Every live secret of e-Office's webhooks; while one is replaced there are two files."""
    paths = settings.webhook_secret_files
    loaded = [_secret("webhook_secret_files", load_signing_secrets, path) for path in paths]
    return SigningSecrets(tuple(key for secrets in loaded for key in secrets.keys))


def digest_key(settings: Settings) -> bytes:
    """A key that never leaves the process, so that a stored digest betrays no subject."""
    text = _secret("matrix.store_key_file", load_token, settings.matrix.store_key_file)
    return hashlib.sha256(b"rabta intake digest|" + text.encode()).digest()


def trusted_authorities(settings: Settings) -> ssl.SSLContext | bool:
    """Whom to trust at e-Office's address; True is the system's own list."""
    ca_file = settings.eoffice.ca_file
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        fault = Fault("eoffice.ca_file", f"cannot use {ca_file}.", "write a PEM certificate there")
        raise SettingsError([fault]) from error
