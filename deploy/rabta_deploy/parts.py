"""The settings files of e-Office, bridge and page in a network of one machine."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rabta_deploy.ministry import PolicyFiles
from rabta_deploy.officer import PAGE
from rabta_deploy.secretfile import keep_secret, password, write_secret

_KEY_BYTES = 32


def _webhook_secret() -> str:
    """As Standard Webhooks writes its secrets."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}"


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


@dataclass(frozen=True, slots=True)
class Office:
    """e-Office and its bridge: what they share, and where each keeps its own.

    Attributes:
        directory: Of the network; both live below it.
        organisation: Code of the ministry whose e-Office it is.
        eoffice_url: Base URL of e-Office's pages, feed and commands.
        bridge_url: Base URL of the bridge.
    """

    directory: Path
    organisation: str
    eoffice_url: str
    bridge_url: str

    @property
    def eoffice_directory(self) -> Path:
        """e-Office's own files."""
        return self.directory / "eoffice"

    @property
    def bridge_directory(self) -> Path:
        """The bridge's own files."""
        return self.directory / "bridge"

    @property
    def webhook_secret_file(self) -> Path:
        """Signs events on their way to the bridge."""
        return self.directory / "shared" / "webhook.secret"

    @property
    def command_secret_file(self) -> Path:
        """Signs commands on their way to e-Office."""
        return self.directory / "shared" / "command.secret"

    @property
    def feed_token_file(self) -> Path:
        """Opens e-Office's feed to the bridge."""
        return self.directory / "shared" / "feed.token"

    @property
    def bot_password_file(self) -> Path:
        """Password of the bridge's Matrix account."""
        return self.bridge_directory / "password"

    def make_secrets(self) -> None:
        """Make every secret of both, once."""
        keep_secret(self.webhook_secret_file, _webhook_secret)
        keep_secret(self.command_secret_file, _webhook_secret)
        keep_secret(self.feed_token_file)
        keep_secret(self.eoffice_directory / "session.secret")
        keep_secret(self.bot_password_file, password)
        keep_secret(self.bridge_directory / "store.key", _key)

    def write_eoffice(self, *, port: int, seed: Mapping[str, Any]) -> Path:
        """Write e-Office's settings and seed; returns the settings file."""
        seed_file = _write(self.eoffice_directory / "seed.yaml", seed)
        document = {
            "org": self.organisation,
            "host": "127.0.0.1",
            "port": port,
            "public_url": self.eoffice_url,
            "database_file": str(self.eoffice_directory / "eoffice.db"),
            "seed_file": str(seed_file),
            "session_secret_file": str(self.eoffice_directory / "session.secret"),
            "command_secret_file": str(self.command_secret_file),
            "feed_token_file": str(self.feed_token_file),
            "webhook_url": f"{self.bridge_url}/eoffice/events",
            "webhook_secret_file": str(self.webhook_secret_file),
        }
        return _write(self.eoffice_directory / "eoffice.yaml", document)

    def write_bridge(
        self,
        *,
        port: int,
        user_id: str,
        homeserver_url: str,
        policy: PolicyFiles,
        directory: Mapping[str, Any],
        scanner: str | None = None,
    ) -> Path:
        """Write the bridge's settings and directory of persons; returns the settings file.

        `scanner` is the address of a clamd, where there is one.
        """
        directory_file = _write(self.bridge_directory / "directory.yaml", directory)
        document = {
            "organisation": self.organisation,
            "listen": {"host": "127.0.0.1", "port": port},
            "database": {"url": f"sqlite:///{self.bridge_directory / 'bridge.db'}"},
            "matrix": {
                "homeserver_url": homeserver_url,
                "user_id": user_id,
                "password_file": str(self.bot_password_file),
                "store_key_file": str(self.bridge_directory / "store.key"),
                "recovery_key_file": str(self.bridge_directory / "recovery-key"),
                # People of its own ministry may talk to it, and take it into a room for `class`.
                "allowed_inviters": [f":{user_id.partition(':')[2]}"],
            },
            "policy_file": str(policy.policy),
            "authority_file": str(policy.authority),
            "directory_file": str(directory_file),
            "webhook_secret_files": [str(self.webhook_secret_file)],
            "eoffice": {
                "url": self.eoffice_url,
                "command_secret_file": str(self.command_secret_file),
                "feed_token_file": str(self.feed_token_file),
            },
            "documents": {"scanner": scanner},
        }
        return _write(self.bridge_directory / "bridge.yaml", document)


def write_page(
    file: Path, *, port: int, config: Mapping[str, Any], connect_to: tuple[str, ...]
) -> Path:
    """Write the page server's settings; returns the file."""
    document = {
        "port": port,
        "directory": str(PAGE),
        "config": dict(config),
        "connect_to": list(connect_to),
    }
    return _write(file, document)


def _write(file: Path, document: Mapping[str, Any]) -> Path:
    text = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True)
    return write_secret(file, text)
