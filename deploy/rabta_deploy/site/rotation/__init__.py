"""Replaces the secrets of a site that runs: each can be repeated after an interruption."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rabta_deploy.site.control import Control
from rabta_deploy.site.layout import Layout


@dataclass(frozen=True, slots=True)
class AtWork:
    """A site that runs.

    Attributes:
        layout: Its directories.
        control: Of its parts.
        now: Timezone-aware.
        report: Told what is being done.
    """

    layout: Layout
    control: Control
    now: datetime
    report: Callable[[str], None]
