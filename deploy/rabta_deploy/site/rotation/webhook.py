"""The webhook secret: for a while two are live, so e-Office switches when it likes."""

import base64
import secrets
from pathlib import Path

from rabta_contract.secrets_file import SecretError, SigningSecrets
from rabta_deploy.fault import YardError
from rabta_deploy.secretfile import replace_secret
from rabta_deploy.site.description import Site

_BYTES = 32
_LIVE = 2
"""During a rotation."""


def rotate(site: Site, *, dry: bool = False) -> list[str]:
    """Put a new secret before the live one; the bridge reads the file again by itself.

    Returns:
        What was done and what comes next.

    Raises:
        YardError: `no-such-part`, `secret-unusable`.
    """
    file = _file(site)
    live = _live(file)
    if len(live) >= _LIVE:
        said = f"Two secrets are live already; nothing is made. The first of {file} is the new one."
    elif dry:
        said = f"Would put a new secret before the one in {file}."
    else:
        made = "whsec_" + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
        replace_secret(file, "".join(f"{line}\n" for line in (made, *live)))
        said = f"A new secret is the first of {file}; the bridge takes what either signs."
    return [
        said,
        "Next: e-Office signs with the new secret; bring it there as you brought the first.",
        "Then: rabta site rotate webhook --finish.",
    ]


def finish(site: Site, *, dry: bool = False) -> list[str]:
    """Leave the new secret alone in force.

    Raises:
        YardError: As `rotate`.
    """
    file = _file(site)
    new, *old = _live(file)
    if not old:
        return ["One secret is live: there is nothing to finish."]
    if dry:
        return [f"Would take {len(old)} old secrets out of {file}."]
    replace_secret(file, f"{new}\n")
    return [f"{file} holds the new secret alone. What the old one signs is refused from now on."]


def _file(site: Site) -> Path:
    if site.eoffice is None:
        raise YardError("no-such-part", "The site has no e-Office.", "nothing is to be rotated")
    return site.eoffice.webhook_secret_file


def _live(file: Path) -> list[str]:
    """The secrets, the newest first, each checked."""
    try:
        text = file.read_text(encoding="utf-8")
        SigningSecrets.parse(text)
    except (OSError, SecretError) as error:
        raise YardError(
            "secret-unusable", f"{file}: {error}.", "docs/reference/bridge-settings.md"
        ) from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
