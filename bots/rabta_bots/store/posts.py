"""Keeps posts, their dated charges and the officers' languages."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, or_, select, update

from rabta_bots.charges import Charge
from rabta_bots.rows import put
from rabta_bots.store.tables import charges, languages, posts

# Asked before every message, so they are built once.
_POST = select(posts).where(posts.c.post_id == bindparam("post"))
_ORGS = select(posts.c.post_id, posts.c.org).where(
    posts.c.post_id.in_(bindparam("posts", expanding=True))
)
_CHARGES = select(charges).where(charges.c.post_id == bindparam("post"))
_LANGUAGE = select(languages.c.language).where(languages.c.person_id == bindparam("person"))


def known_posts(connection: Connection, post_ids: Iterable[str]) -> dict[str, str]:
    """Those of `post_ids` that a charge event has named, each with its organisation."""
    wanted = list(post_ids)
    found = connection.execute(_ORGS, {"posts": wanted}) if wanted else ()
    return {row.post_id: row.org for row in found}


def remember_post(connection: Connection, post: Mapping[str, Any]) -> None:
    """Note a post as its latest charge event describes it."""
    row = {
        "post_id": post["post_id"],
        "org": post["org"],
        "designation": post["designation"],
        "designation_ur": post.get("designation_ur"),
        "section": post.get("section"),
        "reports_to": post.get("reports_to"),
    }
    put(connection, posts, [row])


def post_names(connection: Connection, post_id: str) -> tuple[str, str]:
    """The post's designation in English and in Urdu (English again where none is known)."""
    row = connection.execute(_POST, {"post": post_id}).one()
    return row.designation, row.designation_ur or row.designation


def superiors(connection: Connection, post_ids: Iterable[str]) -> tuple[str, ...]:
    """The known superior posts of the posts, each once and none of themselves."""
    mine = list(post_ids)
    found = connection.execute(
        select(posts.c.reports_to)
        .where(posts.c.post_id.in_(mine), posts.c.reports_to.is_not(None))
        .order_by(posts.c.post_id)
    ).scalars()
    above = dict.fromkeys(post_id for post_id in found if post_id not in mine)
    known = known_posts(connection, above)
    return tuple(post_id for post_id in above if post_id in known)


def assume(connection: Connection, charge: Charge) -> None:
    """Note that a person takes charge of a post; told twice, it is kept once."""
    same = and_(
        charges.c.post_id == charge.post_id,
        charges.c.person_id == charge.person_id,
        charges.c.kind == charge.kind,
        charges.c.begins == charge.begins,
    )
    values = {"may_decide": charge.may_decide, "ends": charge.ends}
    if not connection.execute(update(charges).where(same).values(**values)).rowcount:
        connection.execute(
            charges.insert().values(
                post_id=charge.post_id,
                person_id=charge.person_id,
                kind=charge.kind,
                begins=charge.begins,
                **values,
            )
        )


def relinquish(
    connection: Connection, post_id: str, person_id: str, kind: str, ends: datetime
) -> None:
    """Note that a person's charge of a post ends; an earlier end that was known stays."""
    connection.execute(
        update(charges)
        .where(
            charges.c.post_id == post_id,
            charges.c.person_id == person_id,
            charges.c.kind == kind,
            charges.c.begins <= ends,
            or_(charges.c.ends.is_(None), charges.c.ends > ends),
        )
        .values(ends=ends)
    )


def charges_of(connection: Connection, post_id: str) -> list[Charge]:
    """Every charge of the post, past and to come."""
    return [_charge(row) for row in connection.execute(_CHARGES, {"post": post_id})]


def _charge(row: Row[Any]) -> Charge:
    return Charge(row.post_id, row.person_id, row.kind, row.may_decide, row.begins, row.ends)


def all_charges(connection: Connection) -> dict[str, list[Charge]]:
    """Every charge of every post, past and to come."""
    found: dict[str, list[Charge]] = defaultdict(list)
    for row in connection.execute(select(charges)):
        found[row.post_id].append(_charge(row))
    return found


def all_posts(connection: Connection) -> list[tuple[str, str, str | None]]:
    """Every known post with its organisation and section."""
    query = select(posts.c.post_id, posts.c.org, posts.c.section).order_by(posts.c.post_id)
    return [(row.post_id, row.org, row.section) for row in connection.execute(query)]


def chosen_languages(connection: Connection) -> dict[str, str]:
    """The languages that officers chose from chat, by person."""
    return {row.person_id: row.language for row in connection.execute(select(languages))}


def posts_with_charges(connection: Connection, person_id: str) -> list[str]:
    """The posts that the person has ever had a charge of."""
    rows = connection.execute(
        select(charges.c.post_id).where(charges.c.person_id == person_id).distinct()
    )
    return [row.post_id for row in rows]


def chosen_language(connection: Connection, person_id: str) -> str | None:
    """The language that the officer chose from chat."""
    return connection.execute(_LANGUAGE, {"person": person_id}).scalar()


def choose_language(connection: Connection, person_id: str, language: str) -> None:
    """Keep the language that the officer chose from chat."""
    changed = connection.execute(
        update(languages).where(languages.c.person_id == person_id).values(language=language)
    )
    if not changed.rowcount:
        connection.execute(languages.insert().values(person_id=person_id, language=language))


def post_by_any_case(connection: Connection, written: str) -> str:
    """The known post that the officer meant, whatever the case of the letters; else as written."""
    found = connection.execute(
        select(posts.c.post_id).where(func.lower(posts.c.post_id) == written.lower())
    ).scalar()
    return found if found is not None else written
