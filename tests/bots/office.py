"""The real reference e-Office beside a bridge: both over HTTP, each with its own store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import yaml
from ministry import NOW, Ministry, Running, running, secret_file
from recorder import Recorder

from rabta_contract import Grade
from rabta_deploy.ports import free_port
from rabta_eoffice.acts import Act, Verb
from rabta_eoffice.desk import Desk, NewFile
from rabta_eoffice.establishment import Establishment
from rabta_eoffice.rules import CaseFile, Refused
from rabta_eoffice.service import serving
from rabta_eoffice.settings import Settings

BEGAN = (NOW - timedelta(days=30)).isoformat()

SEED: dict[str, Any] = {
    "posts": [
        {
            "post_id": "ITT-SO-ADMN2",
            "designation": "Section Officer (Admn-II)",
            "designation_ur": "سیکشن افسر (انتظامیہ-۲)",
            "org": "ITT",
        },
        {"post_id": "ITT-DS-ADMN", "designation": "Deputy Secretary (Admn)", "org": "ITT"},
        {"post_id": "ITT-JS", "designation": "Joint Secretary", "org": "ITT"},
    ],
    "persons": [
        {"person_id": "p-1", "name": "Ayesha Malik"},
        {"person_id": "p-2", "name": "Bilal Ahmed"},
        {"person_id": "p-3", "name": "Chaudhry Imran"},
    ],
    "charges": [
        {"post_id": "ITT-SO-ADMN2", "person_id": "p-1", "kind": "regular", "from": BEGAN},
        {"post_id": "ITT-DS-ADMN", "person_id": "p-2", "kind": "additional", "from": BEGAN},
        {"post_id": "ITT-JS", "person_id": "p-3", "kind": "look_after", "from": BEGAN},
    ],
    "files": [],
}


@dataclass
class Office:
    """e-Office and the bridge, and what people do in e-Office."""

    desk: Desk
    bridge: Running

    @property
    def chat(self) -> Recorder:
        """What the bridge wrote to rooms."""
        return self.bridge.chat

    def open_file(self, number: str = "F.No.1(5)/2026-Admn-II", **further: Any) -> str:
        """The section officer opens a file."""
        wanted = NewFile(number, "Procurement of networking equipment", "ITT-SO-ADMN2")
        wanted = replace(wanted, **{"grade": Grade.RESTRICTED, **further})
        opened = self.desk.open_file(wanted, "p-1")
        assert isinstance(opened, CaseFile), opened
        return opened.file_id

    def act(self, file_id: str, person_id: str, post_id: str, verb: Verb, **how: Any) -> CaseFile:
        """A person acts on a file in e-Office's pages."""
        done = self.desk.act(file_id, (person_id, post_id), Act(verb, **how))
        assert not isinstance(done, Refused), done
        return done

    def put_up(self, file_id: str, to_post: str = "ITT-DS-ADMN") -> CaseFile:
        """The section officer puts the file up."""
        return self.act(
            file_id, "p-1", "ITT-SO-ADMN2", Verb.PUT_UP, to_post=to_post, note="For approval."
        )

    @property
    def establishment(self) -> Establishment:
        """Where charges are entered and ended."""
        return Establishment(self.desk)


@asynccontextmanager
async def office(
    ministry: Ministry, chat: Recorder | None = None, **changes: Any
) -> AsyncIterator[Office]:
    """The two processes' parts in this one, talking over loopback HTTP."""
    eoffice_port, bridge_port = free_port(), free_port()
    home = ministry.home
    seed = dict(SEED)
    (home / "seed.yaml").write_text(yaml.safe_dump(seed, allow_unicode=True), encoding="utf-8")
    secret_file(home / "session.secret", "the session secret of the tests")
    settings = Settings(
        org="ITT",
        port=eoffice_port,
        public_url=f"http://127.0.0.1:{eoffice_port}",
        database_file=home / "eoffice.db",
        seed_file=home / "seed.yaml",
        session_secret_file=home / "session.secret",
        command_secret_file=home / "command.secret",
        feed_token_file=home / "feed.token",
        webhook_url=f"http://127.0.0.1:{bridge_port}/eoffice/events",
        webhook_secret_file=home / "webhook.secret",
    )
    ministry.eoffice_url = f"http://127.0.0.1:{eoffice_port}"
    changes = {"listen": {"host": "127.0.0.1", "port": bridge_port}, **changes}
    async with (
        serving(settings, ministry.hands) as served,
        running(ministry, chat, **changes) as bridge,
    ):
        yield Office(served.desk, bridge)
