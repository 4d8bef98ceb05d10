"""Writes the directory that the bridge reads: who is who, and who holds which post.

It is the whole word on the posts it names, so that rooms follow the staff office within seconds.
"""

import json
import os
from pathlib import Path
from typing import Any

from rabta_staff.people import Charge, language_of, name_of, number_of, post_number_of
from rabta_staff.register import Register
from rabta_staff.shapes import Group, User, matrix_id_of, post_of, serves, staff_of


def document(register: Register) -> dict[str, Any]:
    """The directory as of now.

    Whoever is in service and has an account stands in it, and every post with those who hold it;
    a post that was closed stands there without any, so that nobody stays in its rooms.
    """
    with register.lock:
        serving = {
            str(user.id): user
            for user in register.all_users()
            if serves(user) and register.accounts[str(user.id)].owned
        }
        persons = {number_of(user): _person(user) for user in serving.values()}
        closed = (one for one in register.gone.values() if isinstance(one, Group))
        posts = {post_number_of(group): _post(group, []) for group in closed}
        for group in register.all_posts():
            held = [
                _charge(number_of(serving[charge.person]), charge)
                for charge in register.charges.get(str(group.id), ())
                if charge.person in serving
            ]
            posts[post_number_of(group)] = _post(group, held)
    return {"persons": persons, "posts": posts}


def _person(user: User) -> dict[str, Any]:
    return {
        "user_id": matrix_id_of(user),
        "name": name_of(user),
        "name_ur": staff_of(user).name_urdu,
        "language": language_of(user),
    }


def _post(group: Group, held: list[dict[str, Any]]) -> dict[str, Any]:
    told = post_of(group)
    return {
        "designation": group.display_name,
        "designation_ur": told.designation_urdu,
        "section": told.section,
        "reports_to": told.reports_to,
        "charges": held,
    }


def _charge(person_id: str, charge: Charge) -> dict[str, Any]:
    return {
        "person_id": person_id,
        "kind": charge.kind.value,
        "from": charge.begins.isoformat(),
    }


def write(file: Path, directory: dict[str, Any]) -> bool:
    """Replace the file in one step where its content is another; True when it was replaced."""
    # JSON is YAML, and read a thousand times faster.
    text = json.dumps(directory, ensure_ascii=False, indent=1)
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
