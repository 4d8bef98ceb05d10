"""Where everything happens: gather the facts, let the rules decide, write it in one transaction."""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, Engine, insert, select

from rabta_contract import (
    ChargeKind,
    Command,
    CommandReason,
    CommandRefusal,
    CommandResult,
    Event,
    EventType,
    FileStatus,
    Grade,
    Priority,
    clean_line,
    clean_text,
)
from rabta_contract.document import DocumentOffer, DocumentResult
from rabta_contract.parsing import event_of
from rabta_eoffice import acts, entries, outbox, records, telling
from rabta_eoffice.acts import Act, Verb
from rabta_eoffice.clock import Clock
from rabta_eoffice.documents import TOLD_AT_MOST, KeptDocument, NewDocument, attach, documents_of
from rabta_eoffice.entries import Entry
from rabta_eoffice.rules import Actor, CaseFile, Channel, Reason, Refused, Step
from rabta_eoffice.tables import commands


@dataclass(frozen=True, slots=True)
class NewFile:
    """What is asked for when a file is opened. `file_id` None: the next number is given."""

    file_no: str
    subject: str
    post_id: str
    grade: Grade = Grade.UNCLASSIFIED
    priority: Priority = Priority.ROUTINE
    section: str | None = None
    certificate_required: bool = False
    note: str = ""
    file_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a command: HTTP status, body, and whether it was given before."""

    status: int
    body: bytes
    replayed: bool
    reason: str | None = None


class Desk:
    """The acts of the office on its database.

    Every method is one transaction and may be called from any thread.

    Args:
        engine: From `tables.open_database`.
        org: Code of the organisation; the source of events is `/eoffice/<org>`.
        public_url: Where people reach the pages, for links in events.
        clock: Gives the moment of every act, timezone-aware.
        on_told: Called after a transaction that told an event.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        org: str,
        public_url: str,
        clock: Clock,
        on_told: Callable[[], None] = lambda: None,
    ) -> None:
        self.engine = engine
        self.org = org
        self.clock = clock
        self.on_told = on_told
        self._public_url = public_url.rstrip("/")

    def open_file(self, wanted: NewFile, person_id: str) -> CaseFile | Refused:
        """Open a file at a post that the person holds."""
        now = self.clock()
        with self.engine.begin() as connection:
            opened = self.open_in(connection, wanted, person_id, now)
        self.on_told()
        return opened

    def open_in(
        self, connection: Connection, wanted: NewFile, person_id: str, now: datetime
    ) -> CaseFile | Refused:
        """As `open_file`, within a transaction that the caller has begun."""
        actor = self._actor(connection, person_id, wanted.post_id, now)
        if actor.charge is None:
            return Refused(Reason.WRONG_HOLDER, f"{person_id} does not hold {wanted.post_id}")
        subject, file_no = clean_line(wanted.subject), clean_line(wanted.file_no)
        if not subject or not file_no or len(subject) > 500 or len(file_no) > 120:  # noqa: PLR2004 - the schema's limits
            return Refused(
                Reason.MALFORMED, "a file needs a number (120 letters) and a subject (500 letters)"
            )
        number = records.next_file_number(connection)
        note = clean_text(wanted.note).strip()
        file = CaseFile(
            file_id=wanted.file_id or f"{self.org}-{now.year}-{number:06d}",
            file_no=file_no,
            subject=subject,
            org=self.org,
            section=clean_line(wanted.section or "") or None,
            grade=wanted.grade,
            priority=wanted.priority,
            certificate_required=wanted.certificate_required,
            status=FileStatus.OPEN,
            initiator=wanted.post_id,
            holder=wanted.post_id,
            note_para=1 if note else 0,
        )
        records.add_file(connection, file, now)
        if note:
            records.add_note(connection, file, actor, note, now)
        self._tell_step(connection, Step(file, EventType.FILE_OPENED), actor, now)
        return file

    def act(self, file_id: str, actor: tuple[str, str], act: Act) -> CaseFile | Refused:
        """Do one act on a file, as (person id, post id), from the pages or the API."""
        person_id, post_id = actor
        now = self.clock()
        with self.engine.begin() as connection:
            known = self._actor(connection, person_id, post_id, now)
            done = self._act(connection, file_id, known, act, now)
        if not isinstance(done, Refused):
            self.on_told()
        return done

    def attach(
        self, file_id: str, actor: tuple[str, str], new: NewDocument
    ) -> KeptDocument | Refused:
        """Put a document on a file, as (person id, post id), from the pages or the API."""
        now = self.clock()
        with self.engine.begin() as connection:
            file = records.find_file(connection, file_id)
            if file is None:
                return Refused(Reason.UNKNOWN_FILE, "no such file")
            return attach(connection, file, self._actor(connection, *actor, now), new, now)

    def take_document(self, offer: DocumentOffer, body: bytes, content: bytes) -> Answered:
        """Put a document from chat on its file once, whatever number of times it comes.

        The answer is stored with its idempotency key in the same transaction, as for a command.
        """

        def carry_out(connection: Connection, now: datetime) -> Answered:
            file = records.find_file(connection, offer.file_id)
            known = self._actor(connection, offer.person_id, offer.post_id, now)
            actor = replace(
                known,
                channel=Channel.CHAT,
                command_id=offer.command_id,
                matrix_user=offer.matrix_user,
            )
            new = NewDocument(offer.name, offer.media_type, content)
            done = (
                Refused(Reason.UNKNOWN_FILE, "no such file")
                if file is None
                else attach(connection, file, actor, new, now)
            )
            if isinstance(done, Refused):
                refusal = CommandRefusal(acts.contract_reason(done.reason), done.detail)
                return Answered(refusal.status, refusal.to_bytes(), False, refusal.reason)
            result = DocumentResult(
                command_id=offer.command_id,
                doc_id=done.doc_id,
                file_id=done.file_id,
                recorded_at=now,
            )
            return Answered(200, result.to_bytes(), replayed=False)

        return self._once(offer.command_id, body, carry_out)

    def command(self, command: Command, body: bytes) -> Answered:
        """Carry out a command from chat once, whatever number of times it comes."""
        return self._once(
            command.command_id,
            body,
            lambda connection, now: self._carry_out(connection, command, now),
        )

    def _once(
        self,
        command_id: str,
        body: bytes,
        carry_out: Callable[[Connection, datetime], Answered],
    ) -> Answered:
        """Answer as before where the key and the body came before; else carry out and remember.

        The answer, refusals included, is stored with its idempotency key in the transaction
        that changes the file.
        """
        digest = hashlib.sha256(body).hexdigest()
        now = self.clock()
        with self.engine.begin() as connection:
            before = connection.execute(
                select(commands).where(commands.c.command_id == command_id)
            ).one_or_none()
            if before is not None and before.body_sha256 == digest:
                return Answered(before.status, before.answer, replayed=True)
            if before is not None:
                refusal = CommandRefusal(
                    CommandReason.IDEMPOTENCY_KEY_REUSED, "this key belongs to another command"
                )
                return Answered(refusal.status, refusal.to_bytes(), False, refusal.reason)
            answered = carry_out(connection, now)
            connection.execute(
                insert(commands).values(
                    command_id=command_id,
                    body_sha256=digest,
                    status=answered.status,
                    answer=answered.body,
                    answered_at=now,
                )
            )
        self.on_told()
        return answered

    def enter(self, actor: tuple[str, str], entry: Entry) -> Event | Refused:
        """Make an entry in a register, as (person id, post id); gives the event that tells it.

        Raises:
            ContractError: The entry does not make an event of the contract; nothing is changed.
        """
        person_id, post_id = actor
        now = self.clock()
        with self.engine.begin() as connection:
            known = self._actor(connection, person_id, post_id, now)
            file = records.find_file(connection, entry.file_id) if entry.file_id else None
            posts = records.all_posts(connection)
            after = entries.judge(file, known, entry)
            if isinstance(after, Refused):
                return after
            if entry.to_post is not None and entry.to_post not in posts:
                return Refused(Reason.UNKNOWN_POST, "no such post to send it to")
            if after is not None:
                records.save_file(connection, after)
            name = records.names(connection).get(person_id, (None, None))[0]
            party = telling.actor_of(
                posts[post_id], person_id, name, known.charge or ChargeKind.REGULAR
            )

            def event(envelope: telling.Envelope) -> Event:
                data = entries.told(
                    entry, after, actor=party, posts=posts, public_url=self._public_url
                )
                made = envelope.around(entry.kind, entries.subject_of(entry), data)
                return event_of(made.document())

            told = self.tell(connection, now, event)
        self.on_told()
        return told

    def heartbeat(self) -> Event:
        """Tell that the source lives."""
        now = self.clock()
        with self.engine.begin() as connection:
            told = self.tell(connection, now, telling.heartbeat)
        self.on_told()
        return told

    def tell(
        self,
        connection: Connection,
        now: datetime,
        make: Callable[[telling.Envelope], Event],
    ) -> Event:
        """Put the event that `make` builds into the outbox."""
        return outbox.tell(
            connection,
            lambda sequence: make(telling.Envelope(uuid.uuid4().hex, self.org, sequence, now)),
        )

    def _carry_out(self, connection: Connection, command: Command, now: datetime) -> Answered:
        known = records.find_post(connection, command.post_id)
        actor = self._actor(connection, command.person_id, command.post_id, now)
        chatting = Actor(
            person_id=actor.person_id,
            post_id=actor.post_id,
            charge=actor.charge,
            channel=Channel.CHAT,
            command_id=command.command_id,
            matrix_user=command.matrix_user,
        )
        done = (
            Refused(Reason.UNKNOWN_POST, "no such post")
            if known is None
            else self._act(connection, command.file_id, chatting, acts.of_command(command), now)
        )
        if isinstance(done, Refused):
            refusal = CommandRefusal(acts.contract_reason(done.reason), done.detail)
            return Answered(refusal.status, refusal.to_bytes(), False, refusal.reason)
        result = CommandResult(
            command_id=command.command_id,
            outcome=acts.outcome_of(command),
            file_id=done.file_id,
            note_para=done.note_para or None,
            movement_no=done.movement_no,
            recorded_at=now,
        )
        return Answered(200, result.to_bytes(), replayed=False)

    def _act(
        self, connection: Connection, file_id: str, actor: Actor, act: Act, now: datetime
    ) -> CaseFile | Refused:
        file = records.find_file(connection, file_id)
        if file is None:
            return Refused(Reason.UNKNOWN_FILE, "no such file")
        sends = act.verb in {Verb.PUT_UP, Verb.MARK}
        if sends and records.find_post(connection, act.to_post) is None:
            return Refused(Reason.UNKNOWN_POST, "no such post to send the file to")
        clean = Act(
            verb=act.verb,
            to_post=act.to_post,
            purpose=act.purpose,
            note=clean_text(act.note).strip(),
            remarks=clean_text(act.remarks).strip()[:2000],
            movement_no=act.movement_no,
        )
        step = acts.judge(file, actor, clean, trail=records.trail(connection, file))
        if isinstance(step, Refused):
            return step
        records.save_file(connection, step.file)
        if step.note is not None:
            records.add_note(connection, step.file, actor, step.note, now)
        # A reminder tells of the movement that is; every other movement is a new one.
        if step.moved is not None and step.moved.number > file.movement_no:
            records.add_movement(connection, file, actor, step.moved, now)
        if step.decided is not None:
            records.add_decision(connection, file, actor, step.decided, now)
        self._tell_step(connection, step, actor, now)
        return step.file

    def _tell_step(self, connection: Connection, step: Step, actor: Actor, now: datetime) -> None:
        kind = step.event
        if kind is None:
            return
        posts = records.all_posts(connection)
        newest = documents_of(connection, step.file.file_id)[-TOLD_AT_MOST:]
        name = records.names(connection).get(actor.person_id, (None, None))[0]
        party = telling.actor_of(
            posts[actor.post_id], actor.person_id, name, actor.charge or ChargeKind.REGULAR
        )
        self.tell(
            connection,
            now,
            lambda envelope: telling.of_step(
                envelope,
                kind,
                step,
                actor=party,
                posts=posts,
                documents=[document.told(self._public_url) for document in newest],
                public_url=self._public_url,
            ),
        )

    def _actor(self, connection: Connection, person_id: str, post_id: str, now: datetime) -> Actor:
        held = records.charges_at(connection, now, person_id=person_id, post_id=post_id)
        return Actor(person_id, post_id, held[0].kind if held else None)
