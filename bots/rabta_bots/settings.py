"""The bridge's settings: one YAML document, unknown keys refused, secrets only as files."""

import json
from contextlib import suppress
from datetime import date, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from rabta_bots.faults import Fault, SettingsError
from rabta_bots.matrix import MatrixSettings
from rabta_bots.working_days import WorkingDays
from rabta_contract.secrets_file import load_token
from rabta_contract.vocabulary import Priority

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
LEAST_PEACE_MINUTES = 5
STRICT = ConfigDict(extra="forbid", frozen=True)
M = TypeVar("M", bound=BaseModel)
UserId = Annotated[str, Field(pattern=r"^@[a-z0-9._=/+-]+:[A-Za-z0-9.:\[\]-]+$", max_length=255)]
Port = Annotated[int, Field(ge=0, le=65535)]


def _http(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("write http://HOST:PORT or https://HOST")
    return value.rstrip("/")


Url = Annotated[str, AfterValidator(_http)]


class Listen(BaseModel):
    """Where the bridge takes events and answers health checks; port 0 takes a free one."""

    model_config = STRICT
    host: str
    port: Port


class Database(BaseModel):
    """The bridge's store.

    Args:
        url: `sqlite:///PATH` or `postgresql+psycopg://USER@HOST/NAME`, without a password.
        password_file: Holds the database password, if it needs one.
    """

    model_config = STRICT
    url: str
    password_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _known_and_without_password(cls, value: str) -> str:
        try:
            url = make_url(value)
        except ArgumentError as error:
            raise ValueError("not a database URL: write sqlite:///PATH") from error
        if url.password is not None:
            raise ValueError("a password stands in the URL: move it to database.password_file")
        if url.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
            raise ValueError("use sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME")
        return value

    def full_url(self) -> URL:
        """The URL with the password from its file.

        Raises:
            SecretError: The file cannot be used.
        """
        url = make_url(self.url)
        if self.password_file is None:
            return url
        return url.set(password=load_token(self.password_file))


class MayanEDMS(BaseModel):
    """A workflow of Mayan EDMS in the place of an e-Office; see docs/how-to/connect-mayan.md.

    Args:
        url: Base of Mayan, without `/api`.
        token_file: API token of the bridge's own user in Mayan, who may read the workflow.
        mapping_file: What the workflow's states and transitions mean.
        hook_token_file: What Mayan's hooks carry in the header `X-Rabta-Hook`, if anything.
    """

    model_config = STRICT
    url: Url
    token_file: Path
    mapping_file: Path
    hook_token_file: Path | None = None


class EOffice(BaseModel):
    """The e-Office that this bridge serves.

    Args:
        url: Base of its feed (`GET /events`) and commands (`POST /commands`); left out where no
            network reaches it.
        folder: Where its events are dropped as files, and commands too where there is no url.
        command_secret_file: Standard Webhooks secret that signs the commands.
        feed_token_file: Bearer token of the feed; goes with the url.
        ca_file: The CA of its certificate, if it is not a public one.
        mayan: Mayan EDMS instead of an e-Office that speaks the contract.
    """

    model_config = STRICT
    url: Url | None = None
    folder: Path | None = None
    mayan: MayanEDMS | None = None
    command_secret_file: Path | None = None
    feed_token_file: Path | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        spoken = self.url is not None or self.folder is not None
        if spoken == (self.mayan is not None):
            raise ValueError("name its url, or a folder for files, or both; or mayan alone")
        if spoken != (self.command_secret_file is not None):
            raise ValueError("command_secret_file goes with a url or a folder")
        if (self.url is None) != (self.feed_token_file is None):
            raise ValueError("url and feed_token_file go together")
        return self


class Intake(BaseModel):
    """How much the door for events takes before it asks the sender to wait.

    Args:
        max_body_bytes: A larger body is answered 413.
        max_batch: A batch of more events is answered 413.
        max_waiting: With more undelivered events than this, 429 and Retry-After.
        gap_wait_seconds: How long a later event waits for a missing sequence number.
        start_after: The e-Office's sequence number before the first event that matters.
        feed_interval_seconds: How often the feed is read though no gap was seen.
    """

    model_config = STRICT
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1_048_576
    max_batch: Annotated[int, Field(ge=1)] = 100
    max_waiting: Annotated[int, Field(ge=1)] = 10_000
    gap_wait_seconds: Annotated[float, Field(ge=0)] = 60.0
    start_after: Annotated[int, Field(ge=0)] = 0
    feed_interval_seconds: Annotated[float, Field(gt=0)] = 60.0


class Documents(BaseModel):
    """How documents are looked at on their way between e-Office and rooms.

    Args:
        scanner: Address of clamd, `unix:///run/clamav/clamd.ctl` or `tcp://HOST:PORT`. While one
            is named, no document passes unscanned.
        spool_folder: Where a document lies while it is carried; the system's own for temporary
            files if left out. Best a tmpfs.
    """

    model_config = STRICT
    scanner: str | None = None
    spool_folder: Path | None = None

    @field_validator("scanner")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            place = parts.path if parts.scheme == "unix" and not parts.netloc else None
            port = parts.port if parts.scheme == "tcp" and parts.hostname else None
        except ValueError:
            place = port = None
        if not place and not port:
            raise ValueError("write unix:///run/clamav/clamd.ctl or tcp://HOST:PORT")
        return value


class Calendar(BaseModel):
    """When the office works, beside the public holidays of Pakistan.

    Args:
        day_begins: When its day begins, as `"09:00"`.
        day_ends: When it ends.
        weekend: Weekdays without work.
        closed: Further days without work, such as those that the moon decided late.
        opened: Days of work in spite of weekend or holiday.
    """

    model_config = STRICT
    day_begins: time = time(9)
    day_ends: time = time(17)
    weekend: Annotated[tuple[Weekday, ...], Field(max_length=6)] = ("saturday", "sunday")
    closed: tuple[date, ...] = ()
    opened: tuple[date, ...] = ()

    @model_validator(mode="after")
    def _a_day_has_hours(self) -> "Calendar":
        if self.day_ends <= self.day_begins:
            raise ValueError("day_ends must be later than day_begins")
        return self

    def working_days(self, zone: ZoneInfo) -> WorkingDays:
        """The calendar to count with."""
        return WorkingDays(
            zone,
            self.day_begins,
            self.day_ends,
            frozenset(WEEKDAYS.index(day) for day in self.weekend),
            frozenset(self.closed),
            frozenset(self.opened),
        )


class Deadlines(BaseModel):
    """What the clock says of papers.

    Args:
        limits: Working days by priority for a paper that e-Office set no time limit for; 0 is the
            same day. A priority that is left out has no limit.
        remind_again_minutes: How long after the last word an overdue paper is reminded of again;
            0 never.
    """

    model_config = STRICT
    limits: dict[Priority, Annotated[int, Field(ge=0, le=365)]] = {
        Priority.MOST_IMMEDIATE: 0,
        Priority.IMMEDIATE: 1,
        Priority.PRIORITY: 3,
        Priority.ROUTINE: 7,
    }
    remind_again_minutes: Annotated[int, Field(ge=0)] = 1440

    @field_validator("remind_again_minutes")
    @classmethod
    def _in_peace(cls, value: int) -> int:
        if 0 < value < LEAST_PEACE_MINUTES:
            raise ValueError("nobody is chased within five minutes: write 0 or 5 and more")
        return value

    @property
    def again(self) -> timedelta | None:
        """The same as a span; None: never."""
        return timedelta(minutes=self.remind_again_minutes) if self.remind_again_minutes else None


class Settings(BaseModel):
    """Everything one bridge process is told.

    Args:
        organisation: Code of the ministry in the policy's registry, such as `ITT`.
        sources: CloudEvents sources it takes; by default `/eoffice/<organisation>`.
        card_lifetime_hours: After it, a card takes no command.
        confirmation_minutes: How long a question "Confirm: ..." stays open.
        unreadable_minutes: How long a message without a key waits before its sender is told.
        digest_hour: Hour of a working day at which each post reads its digest; null for none.
        calendar: When the office works.
        deadlines: What the clock says of papers.
        reminder_gap_minutes: A post is not reminded of a paper twice within this.
        registry_post: The post of Receipt and Issue, told of what could not be delivered.
        operators: Matrix users who are told in a room what needs a person.
        silent_minutes: A source that sent nothing for so long is told to the operators.
        announcers: The posts that may announce to others.
        polls: Offer an encrypted poll beside each card that can be decided.
        timezone: In which the cards print dates.
        poll_interval_seconds: How often the loops look by themselves, beside being woken.
        standby: What to do while another process holds the account: `wait` to take over, or
            `refuse` to start.
    """

    model_config = STRICT
    organisation: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,8}$")]
    sources: tuple[Annotated[str, Field(pattern=r"^/eoffice/[A-Z0-9]{2,8}$")], ...] = ()
    listen: Listen
    database: Database
    matrix: MatrixSettings
    policy_file: Path
    authority_file: Path
    directory_file: Path
    webhook_secret_files: Annotated[tuple[Path, ...], Field(min_length=1)]
    eoffice: EOffice
    intake: Intake = Intake()
    documents: Documents = Documents()
    card_lifetime_hours: Annotated[int, Field(ge=1)] = 72
    confirmation_minutes: Annotated[int, Field(ge=1, le=120)] = 10
    unreadable_minutes: Annotated[int, Field(ge=1, le=60)] = 5
    digest_hour: Annotated[int, Field(ge=0, le=23)] | None = 9
    calendar: Calendar = Calendar()
    deadlines: Deadlines = Deadlines()
    reminder_gap_minutes: Annotated[int, Field(ge=LEAST_PEACE_MINUTES)] = LEAST_PEACE_MINUTES
    registry_post: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    operators: tuple[UserId, ...] = ()
    silent_minutes: Annotated[int, Field(ge=1)] = 30
    announcers: tuple[Annotated[str, Field(min_length=1, max_length=128)], ...] = ()
    polls: bool = False
    timezone: str = "Asia/Karachi"
    poll_interval_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    standby: Literal["wait", "refuse"] = "wait"

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("not a time zone: write Asia/Karachi") from error
        return value

    @property
    def taken_sources(self) -> frozenset[str]:
        """The CloudEvents sources whose events are taken."""
        return frozenset(self.sources or (f"/eoffice/{self.organisation}",))

    @property
    def card_lifetime(self) -> timedelta:
        """How long a card takes commands."""
        return timedelta(hours=self.card_lifetime_hours)

    @property
    def unreadable_after(self) -> timedelta:
        """How long a message without a key waits before its sender is told."""
        return timedelta(minutes=self.unreadable_minutes)

    @property
    def confirmation_window(self) -> timedelta:
        """How long a question for confirmation stays open."""
        return timedelta(minutes=self.confirmation_minutes)


# PyYAML's own, in C: a directory of 10,000 persons is read in half a second, not in many.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_settings(text: str) -> Settings:
    """The settings in a YAML document.

    Raises:
        SettingsError: With every fault of the document, its path and its cure.
    """
    return parse_document(text, Settings)


def _read(text: str) -> Any:
    if text.startswith("{"):
        # As a program writes it; every JSON is YAML, and read a hundred times faster as JSON.
        with suppress(json.JSONDecodeError):
            return json.loads(text)
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one


def parse_document(text: str, model: type[M]) -> M:
    """A YAML document as a strict pydantic model.

    Raises:
        SettingsError: With every fault of the document, its path and its cure.
    """
    try:
        document = _read(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark else "the document"
        fault = Fault(line, "it is not YAML.", "mend the indentation or the quotes there")
        raise SettingsError([fault]) from error
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise SettingsError([_fault(item) for item in error.errors()]) from error


CURES = {
    "missing": "add it",
    "extra_forbidden": "remove it, or mend its spelling",
}


def _fault(item: Any) -> Fault:
    path = ".".join(str(step) for step in item["loc"]) or "the document"
    cure = CURES.get(item["type"], "see docs/reference/bridge-settings.md")
    return Fault(path, f"{item['msg'].removeprefix('Value error, ')}.", cure)
