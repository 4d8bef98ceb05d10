"""Writes the directory that the bridge reads: who is who, and who holds which post.

It is the whole word on the posts it names, so that rooms follow the staff office within seconds.
"""

import os
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Connection, select

from rabta_staff.tables import charges, persons, posts


def document(connection: Connection, server_name: str) -> dict[str, Any]:
    """The directory as of now: whoever serves, and every post with those who serve on it."""
    serving = select(persons).where(persons.c.active, ~persons.c.gone).order_by(persons.c.id)
    people = {row.id: row for row in connection.execute(serving)}
    open_posts = select(posts).where(~posts.c.gone).order_by(posts.c.id)
    numbers = {row.id: row.number for row in connection.execute(open_posts)}
    held: dict[str, list[dict[str, Any]]] = {number: [] for number in numbers.values()}
    live = select(charges).where(charges.c.ends.is_(None)).order_by(charges.c.row)
    for row in connection.execute(live):
        if row.person_id in people:
            held[numbers[row.post_id]].append(
                {
                    "person_id": people[row.person_id].number,
                    "kind": row.kind,
                    "from": row.begins.isoformat(),
                }
            )
    return {
        "persons": {
            row.number: {
                "user_id": f"@{row.localpart}:{server_name}",
                "name": row.name,
                "name_ur": row.name_ur,
                "language": row.language,
            }
            for row in people.values()
        },
        "charges": held,
    }


def write(file: Path, directory: dict[str, Any]) -> bool:
    """Replace the file in one step where its content is another; True when it was replaced."""
    text = yaml.dump(directory, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return False
    fresh = file.with_suffix(".fresh")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)
    return True
