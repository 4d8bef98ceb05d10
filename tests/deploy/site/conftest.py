"""A site with every part, described in one place for these tests."""

import base64
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyrage
import pytest
import yaml

from rabta_deploy.fault import YardError
from rabta_deploy.secretfile import write_secret
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import below
from rabta_deploy.site.reading import load, parse
from rabta_deploy.site.running import Running
from rabta_deploy.site.trial import Trial, make

sys.path.insert(0, str(Path(__file__).parent))

NOW = datetime.now(UTC)  # noqa: TID251 - certificates hold today
EXAMPLES = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="session")
def whole_document() -> dict[str, Any]:
    """The example that names every part there is."""
    document: dict[str, Any] = yaml.safe_load((EXAMPLES / "site.example.yaml").read_text())
    return document


@pytest.fixture(scope="session")
def whole(whole_document: dict[str, Any]) -> Site:
    return parse(yaml.safe_dump(whole_document))


@pytest.fixture(scope="session")
def backup_key() -> str:
    """An age secret key."""
    return str(pyrage.x25519.Identity.generate())


@pytest.fixture(scope="session")
def trial(backup_key: str) -> Iterator[Trial]:
    # Below /tmp itself: user postgres must pass through every directory above.
    with TemporaryDirectory(prefix="rabta-site-") as name:
        home = Path(name)
        home.chmod(0o711)
        made = Trial(home / "itt", home / "network", "ITT", "itt.gov.test")
        reader = str(pyrage.x25519.Identity.from_str(backup_key).to_public())
        further = {
            "eoffice": eoffice(home / "eoffice"),
            "staff": {},
            "archive": {"recipients": [reader]},
            "backups": {
                "directory": str(home / "backups"),
                "recipients": [reader],
                "keep": 2,
            },
        }
        make(made, lambda: NOW, further)
        yield made


def eoffice(home: Path) -> dict[str, str]:
    """What the bridge is told of an e-Office that is away; it starts without it."""
    secrets = {"webhook_secret_file", "command_secret_file", "feed_token_file"}
    for name in secrets:
        secret = "whsec_" + base64.b64encode(name.encode() * 2).decode()
        write_secret(home / name, secret if "token" not in name else "the token of a feed")
    return {
        "url": "http://127.0.0.1:9",
        **{name: str(home / name) for name in secrets},
    }


@pytest.fixture(scope="session")
def site(trial: Trial, missing_part: Callable[[str], None]) -> Iterator[Running]:
    running = Running(load(trial.file), below(trial.directory))
    try:
        running.up()
    except YardError as fault:
        if fault.reason != "program-missing":
            raise
        missing_part(str(fault))
    yield running
    running.down()


@pytest.fixture(scope="session")
def token(site: Running) -> str:
    site.admin.register("so-admn2", "a long password of hers")
    return site.admin.log_in("so-admn2", "a long password of hers")
