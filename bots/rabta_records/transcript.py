"""A record as people read it: HTML and plain text. Pure; the same record gives the same bytes."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment

from rabta_records.reading import RecordOfRoom, Said

# What moves the eye elsewhere than the words stand: control characters, and those of Unicode that
# turn the direction (UAX 9) or are not seen.
_UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)

_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ about.name }}</title>
<style>
body { font: 1rem/1.6 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
dt { font-weight: bold; } li { margin: .8rem 0; } small { color: #555; }
.text { white-space: pre-wrap; display: block; } .later { color: #8a3b00; display: block; }
</style></head><body>
<h1 dir="auto">{{ about.name }}</h1>
<dl>
{%- for label, value in facts %}
<dt>{{ label }}</dt><dd dir="auto">{{ value }}</dd>
{%- endfor %}
</dl>
<h2>People</h2>
<ul>
{%- for user, name, membership in people %}
<li><bdi>{{ name }}</bdi> <small>{{ user }}, {{ membership }}</small></li>
{%- endfor %}
</ul>
<h2>What was said</h2>
<ol>
{%- for row in rows %}
<li value="{{ row.seq }}" id="{{ row.event_id }}"><bdi><b>{{ row.name }}</b></bdi>
<small>{{ row.sent }}, {{ row.sender }}, {{ row.how }}</small>
<span class="text" dir="auto">{{ row.text }}</span>
{%- if row.path %}<a href="{{ row.path | urlencode }}">{{ row.path }}</a>{% endif %}
{%- for note in row.later %}<span class="later" dir="auto">{{ note }}</span>{% endfor %}
<small>{{ row.event_id }}</small></li>
{%- endfor %}
</ol>
</body></html>
"""
_TEMPLATE = Environment(autoescape=True, keep_trailing_newline=True).from_string(_PAGE)


def html(record: RecordOfRoom, about: Mapping[str, Any]) -> str:
    """The record as one page without a script or a picture.

    Args:
        record: The record.
        about: As `about.json` of an export says.
    """
    people = [(_seen(u), _seen(name), _seen(m)) for u, (name, m) in record.people.items()]
    shown = {**about, "name": _seen(str(about["name"]))}
    rows = _rows(record, about)
    return _TEMPLATE.render(about=shown, facts=_facts(about), people=people, rows=rows)


def plain(record: RecordOfRoom, about: Mapping[str, Any]) -> str:
    """The record as text, a paragraph for each event."""
    lines = [_seen(str(about["name"])), ""]
    lines += [f"{label}: {value}" for label, value in _facts(about)]
    lines += ["", "People"]
    lines += [f"  {_seen(n)} ({_seen(u)}, {_seen(m)})" for u, (n, m) in record.people.items()]
    for row in _rows(record, about):
        lines += ["", f"{row['seq']}. {row['name']} ({row['sender']}) {row['sent']}, {row['how']}"]
        # Indented, so that no message can look like the head of another.
        lines += [f"    {part}" for part in str(row["text"]).split("\n")]
        lines += [f"    file: {row['path']}"] if row["path"] else []
        lines += [f"    {note}" for note in row["later"]]
        lines += [f"    {row['event_id']}"]
    return "\n".join(lines) + "\n"


def _facts(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    chain, missing = about["chain"], about["not_recorded"]
    return [
        ("Room", _seen(str(about["room_id"]))),
        ("Class, category", f"{_seen(str(about['class']))}, {_seen(str(about['category']))}"),
        ("Exported", _seen(f"{about['at']} by {about['by']}, order {about['order']}")),
        ("Chain", f"{chain['seq']} lines, head {chain['hash']}"),
        (
            "Not recorded",
            "the homeserver was not asked"
            if missing is None
            else f"{len(missing)} events that the homeserver holds: see about.json",
        ),
    ]


def _rows(record: RecordOfRoom, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    paths = {one["event_id"]: one.get("path") for one in about["files"]}
    later: dict[str, list[str]] = {}
    for said in record.said:
        target, note = _about_another(said)
        if target:
            later.setdefault(target, []).append(_seen(note))
    return [
        {
            "seq": said.seq,
            "event_id": _seen(said.event_id),
            "sender": _seen(said.sender),
            "name": _seen(said.name),
            "sent": _time(said.sent_ms),
            "how": f"device {said.trust}" if said.encrypted else "not encrypted",
            "text": _seen(_text(said)),
            "path": paths.get(said.event_id),
            "later": later.get(said.event_id, []),
        }
        for said in record.said
    ]


def _about_another(said: Said) -> tuple[str | None, str]:
    """The event that an event is about, and what to say beside that one."""
    relation = said.content.get("m.relates_to")
    relation = relation if isinstance(relation, Mapping) else {}
    target = relation.get("event_id")
    when = f"{_time(said.sent_ms)} by {said.sender}"
    if said.type == "m.room.redaction":
        return _word(said.content.get("redacts")), f"Taken back {when} (line {said.seq})"
    if relation.get("rel_type") == "m.replace":
        return _word(target), f"Changed {when} (line {said.seq}) to: {_body(_new(said))}"
    if said.type == "m.reaction":
        return _word(target), f"{relation.get('key')} {when} (line {said.seq})"
    return None, ""


def _text(said: Said) -> str:
    target, note = _about_another(said)
    if target:
        reason = said.content.get("reason")
        return f"{note}: {target}" + (f". Reason: {reason}" if reason else "")
    if said.type == "m.room.message":
        missing = (said.file or {}).get("missing")
        return _body(said.content) + (f" [file not kept: {missing}]" if missing else "")
    return f"{said.type} {json.dumps(said.content, ensure_ascii=False, sort_keys=True)}"


def _new(said: Said) -> Mapping[str, Any]:
    new = said.content.get("m.new_content")
    return new if isinstance(new, Mapping) else said.content


def _body(content: Mapping[str, Any]) -> str:
    return str(content.get("body", ""))


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _time(sent_ms: int) -> str:
    try:
        return f"{datetime.fromtimestamp(sent_ms / 1000, UTC):%F %T}Z"
    except (OverflowError, ValueError, OSError):
        return "at no time"


def _seen(text: str) -> str:
    """The text with what cannot be seen spelled out."""
    return _UNSEEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)
