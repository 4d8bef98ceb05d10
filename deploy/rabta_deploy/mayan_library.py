"""A library of Mayan with people and a workflow, and the settings of a bridge on it; for tests."""

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rabta_deploy.mayan import MayanServer
from rabta_deploy.secretfile import write_secret

STATES = ("Draft", "Submitted to DS", "Approved")
TRANSITIONS = {
    "Put up": ("Draft", "Submitted to DS"),
    "Approve": ("Submitted to DS", "Approved"),
    "Return": ("Submitted to DS", "Draft"),
}
READING = ("documents.document_view", "document_states.workflow_view", "events.events_view")
MOVING = "document_states.workflow_transition"


@dataclass(frozen=True, slots=True)
class Library:
    """A section officer (ayesha), a deputy secretary (bilal), the bridge, and their workflow.

    Attributes:
        bridge_port: Where the workflow's hooks look for the bridge.
    """

    server: MayanServer
    workflow: int
    document_type: int
    transitions: dict[str, int]
    tokens: dict[str, str] = field(repr=False)
    hook_token: str = field(repr=False)
    users: dict[str, int]
    roles: dict[str, int]
    bridge_port: int

    def new_document(self, label: str) -> int:
        """Somebody opens a file."""
        body = {"document_type_id": self.document_type, "label": label}
        return int(self.server.call("POST", "documents/", body)["id"])

    def move(self, document: int, transition: str, comment: str, by: str) -> None:
        """A person makes a transition in Mayan itself."""
        body = {"transition_id": self.transitions[transition], "comment": comment}
        self.server.call("POST", self._log_of(document), body, token=self.tokens[by])

    def state(self, document: int) -> str:
        """Where the document is."""
        return str(self._run_of(document)["current_state"]["label"])

    def steps(self, document: int) -> list[tuple[str, str, str]]:
        """Transition, user and comment of each step, from Mayan's own ledger."""
        return [
            (one["transition"]["label"], one["user"]["username"], one["comment"])
            for one in self.server.call("GET", self._log_of(document))["results"]
            if one["transition"]
        ]

    def permit(self, user: str, permission: str, *, given: bool) -> None:
        """Give a user a permission, or take it."""
        done = "add" if given else "remove"
        path = f"roles/{self.roles[user]}/permissions/{done}/"
        self.server.call("POST", path, {"permission": permission})

    def _run_of(self, document: int) -> dict[str, Any]:
        path = f"documents/{document}/workflow_instances/"
        run: dict[str, Any] = self.server.call("GET", path)["results"][0]
        return run

    def _log_of(self, document: int) -> str:
        run = self._run_of(document)["id"]
        return f"documents/{document}/workflow_instances/{run}/log_entries/"


def make_library(server: MayanServer, *, bridge_port: int) -> Library:
    """Make the people, the workflow and its hooks in an empty Mayan."""
    users, tokens, roles = {}, {}, {}
    for name in ("bridge", "ayesha", "bilal"):
        password = secrets.token_urlsafe()
        users[name] = server.call("POST", "users/", {"username": name, "password": password})["id"]
        tokens[name] = server.token(name, password)
        group = server.call("POST", "groups/", {"name": name})["id"]
        server.call("POST", f"groups/{group}/users/add/", {"user": users[name]})
        roles[name] = server.call("POST", "roles/", {"label": name})["id"]
        server.call("POST", f"roles/{roles[name]}/groups/add/", {"group": group})
        for permission in (*READING, *(() if name == "bridge" else (MOVING,))):
            path = f"roles/{roles[name]}/permissions/add/"
            server.call("POST", path, {"permission": permission})
    kind = server.call("POST", "document_types/", {"label": "eOffice file"})["id"]
    told = {"label": "eOffice", "internal_name": "eoffice", "auto_launch": True}
    workflow = server.call("POST", "workflow_templates/", told)["id"]
    base = f"workflow_templates/{workflow}"
    server.call("POST", f"{base}/document_types/add/", {"document_type_id": kind})
    hook_token = secrets.token_urlsafe()
    states = {}
    for place, label in enumerate(STATES):
        body = {"label": label, "initial": place == 0, "completion": place * 50}
        states[label] = server.call("POST", f"{base}/states/", body)["id"]
        action = _hook(bridge_port, hook_token)
        server.call("POST", f"{base}/states/{states[label]}/actions/", action)
    transitions = {}
    for label, (origin, goal) in TRANSITIONS.items():
        body = {
            "label": label,
            "origin_state_id": states[origin],
            "destination_state_id": states[goal],
        }
        transitions[label] = server.call("POST", f"{base}/transitions/", body)["id"]
    return Library(
        server, workflow, kind, transitions, tokens, hook_token, users, roles, bridge_port
    )


def _hook(bridge_port: int, token: str) -> dict[str, Any]:
    """The action of a state that tells the bridge of a document, and nothing of what it holds."""
    told = {
        "url": f"http://127.0.0.1:{bridge_port}/mayan/hook",
        "method": "POST",
        "payload": '{"document": {{ workflow_instance.document.pk }}}',
        "headers": json.dumps({"X-Rabta-Hook": token}),
        "timeout": "4",
    }
    return {
        "label": "tell the bridge",
        "enabled": True,
        "when": 1,
        "backend_path": "mayan.apps.document_states.workflow_actions.HTTPAction",
        "backend_data": json.dumps(told),
    }


def mayan_settings(library: Library, home: Path) -> dict[str, Any]:
    """What a bridge on this library has in its settings; its files are written to `home`."""
    began = "2026-01-01T00:00:00+05:00"
    bilal_token = write_secret(home / "bilal.token", library.tokens["bilal"])
    mapping = {
        "workflow": library.workflow,
        "classification": "RESTRICTED",
        "priority": "IMMEDIATE",
        "posts": {
            "ITT-SO-ADMN2": {
                "designation": "Section Officer (Admn-II)",
                "designation_ur": "سیکشن افسر (انتظامیہ-۲)",
                "org": "ITT",
            },
            "ITT-DS-ADMN": {"designation": "Deputy Secretary (Admn)", "org": "ITT"},
        },
        "persons": {
            "p-1": {"user": library.users["ayesha"]},
            "p-2": {"user": library.users["bilal"], "token_file": str(bilal_token)},
        },
        "charges": [
            {"post": "ITT-SO-ADMN2", "person": "p-1", "from": began},
            {"post": "ITT-DS-ADMN", "person": "p-2", "from": began},
        ],
        "states": {
            "Draft": "ITT-SO-ADMN2",
            "Submitted to DS": "ITT-DS-ADMN",
            "Approved": "ITT-SO-ADMN2",
        },
        "transitions": {"Put up": "put_up", "Approve": "approve", "Return": "return"},
    }
    (home / "mapping.yaml").write_text(
        yaml.safe_dump(mapping, allow_unicode=True), encoding="utf-8"
    )
    return {
        "listen": {"host": "127.0.0.1", "port": library.bridge_port},
        "eoffice": {
            "mayan": {
                "url": library.server.url,
                "token_file": str(write_secret(home / "mayan.token", library.tokens["bridge"])),
                "mapping_file": str(home / "mapping.yaml"),
                "hook_token_file": str(write_secret(home / "hook.token", library.hook_token)),
            }
        },
        # Long: what comes sooner came by a hook.
        "intake": {"feed_interval_seconds": 3600.0},
    }
