"""The TURN secret's rotation; what restarts the homeserver is recorded."""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rabta_deploy.fault import YardError
from rabta_deploy.secretfile import write_secret
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import Layout, below
from rabta_deploy.site.rotation import AtWork, turn
from rabta_deploy.site.secrets_of_site import add_turn_secret
from rabta_deploy.site.workload import Workload

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Recorder:
    """Restarts nothing; breaks off at the part that is named."""

    def __init__(self, breaks_at: str = "") -> None:
        self.restarted: list[str] = []
        self._breaks_at = breaks_at

    def restart(self, part: Workload) -> None:
        if part.name == self._breaks_at:
            raise YardError("part-not-ready", "It is away.", "wait")
        self.restarted.append(part.name)

    def signal(self, part: Workload, name: str) -> None:
        raise AssertionError((part.name, name))

    def renew(self, _parts: Iterable[Workload]) -> None:
        raise AssertionError


def known(layout: Layout) -> set[str]:
    with closing(sqlite3.connect(layout.secret("turn.db"))) as database:
        return {value for (value,) in database.execute("SELECT value FROM turn_secret")}


def test_a_broken_rotation_is_taken_up_and_the_old_secret_ends_with_its_credentials(
    whole: Site, tmp_path: Path
) -> None:
    layout = below(tmp_path)
    for name in ("turn", "turn.db"):
        write_secret(layout.secret(name), "" if name == "turn.db" else "the old secret")
    add_turn_secret(whole, layout, "the old secret")

    def at(control: Recorder) -> AtWork:
        return AtWork(layout, control, NOW, lambda _step: None)

    with pytest.raises(YardError) as caught:
        turn.rotate(whole, at(Recorder("synapse-generic1")))
    assert caught.value.reason == "part-not-ready"
    new = layout.secret("turn").read_text()
    assert known(layout) == {"the old secret", new}
    with pytest.raises(YardError, match="rotation-interrupted"):
        turn.finish(whole, layout, NOW)
    again = Recorder()
    turn.rotate(whole, at(again))
    assert layout.secret("turn").read_text() == new
    assert again.restarted[0] == "synapse-main"
    assert "synapse-generic1" in again.restarted
    with pytest.raises(YardError, match="overlap-open"):
        turn.rotate(whole, at(Recorder()))
    os.utime(layout.secret("turn"), (NOW.timestamp(), NOW.timestamp()))
    with pytest.raises(YardError, match="overlap-too-short"):
        turn.finish(whole, layout, NOW + timedelta(minutes=59))
    turn.finish(whole, layout, NOW + timedelta(minutes=71))
    assert known(layout) == {new}
