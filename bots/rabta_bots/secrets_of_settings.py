"""Reads the secrets that the settings name; what is wrong with a file is told by its setting."""

import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog

from rabta_bots.faults import Fault, SettingsError
from rabta_bots.settings import Settings
from rabta_bots.watched_file import WatchedFile
from rabta_contract.secrets_file import (
    SecretError,
    SigningSecrets,
    load_signing_secrets,
    load_token,
)

log = structlog.get_logger("rabta.bridge.secrets")

T = TypeVar("T")


def _secret(setting: str, load: Callable[[Path], T], path: Path) -> T:
    try:
        return load(path)
    except SecretError as error:
        fault = Fault(setting, f"{error}.", "see docs/reference/bridge-settings.md")
        raise SettingsError([fault]) from error


def feed_token(settings: Settings) -> str:
    """The bearer token of e-Office's feed and documents."""
    path = settings.eoffice.feed_token_file
    if path is None:
        raise LookupError("the settings give a feed token with every url")
    return _secret("eoffice.feed_token_file", load_token, path)


def command_secrets(settings: Settings) -> SigningSecrets:
    """What signs commands to e-Office."""
    path = settings.eoffice.command_secret_file
    if path is None:
        raise LookupError("the settings give a command secret with every url and folder")
    return _secret("eoffice.command_secret_file", load_signing_secrets, path)


def mayan_token(setting: str, path: Path) -> str:
    """A token that Mayan gave or gets."""
    return _secret(f"eoffice.mayan.{setting}", load_token, path)


class LiveSecrets:
    """Every live secret of e-Office's webhooks, read again when one of their files is replaced.

    While a secret is replaced there are two: in two files, or one a line in the same file. A file
    that cannot be used any more leaves what was read of it last in force.

    Raises:
        SettingsError: A file cannot be used at the start.
    """

    def __init__(self, settings: Settings) -> None:
        self._files = [WatchedFile(path) for path in settings.webhook_secret_files]
        self._keys: list[tuple[bytes, ...]] = []
        for file in self._files:
            secrets = _secret("webhook_secret_files", load_signing_secrets, file.path)
            file.read_if_changed()
            self._keys.append(secrets.keys)

    def __call__(self) -> SigningSecrets:
        """The secrets in force now."""
        for place, file in enumerate(self._files):
            try:
                if file.read_if_changed() is None:
                    continue
                self._keys[place] = load_signing_secrets(file.path).keys
            except (OSError, SecretError) as error:
                log.warning("webhook-secret-not-read", error=type(error).__name__)
            else:
                log.info("webhook-secret-replaced", live=len(self._keys[place]))
        return SigningSecrets(tuple(key for keys in self._keys for key in keys))


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
