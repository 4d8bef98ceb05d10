"""What a post is, whoever holds it, and what charges follow from what a client says. Pure."""

import uuid
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from scim2_models import InvalidValueException

from rabta_contract.vocabulary import ChargeKind
from rabta_staff.people import Charge, post_number_of
from rabta_staff.shapes import Group, Member, post_of


def settled(group: Group, users: Collection[str]) -> Group:
    """A post whose members are known, each once.

    Args:
        group: As the client says.
        users: SCIM's ids of the persons there are.

    Raises:
        InvalidValueException: There is no such person.
    """
    group = group.model_copy(deep=True)
    members = {}
    for member in group.members or ():
        value = member.value or str(member.ref or "").rpartition("/")[2]
        if value not in users:
            raise InvalidValueException(detail=f"There is no user {value!r} to hold the post")
        told = {"value": value, "$ref": f"Users/{value}", "type": "User"}
        members[value] = Member.model_validate(told)
    group.members = list(members.values()) or None
    return group


def charges(group: Group, were: Mapping[str, Charge], now: datetime) -> Iterator[Charge]:
    """The charges of a post: `members` says who, `capacities` in what capacity.

    Of whom nothing is said the capacity stays: a client that knows none of them must not make a
    look-after holder one who decides.

    Args:
        group: The post.
        were: Person -> charge, before.
        now: When a charge that is new begins.
    """
    told = {str(one.value): one for one in post_of(group).capacities or ()}
    for member in group.members or ():
        person = str(member.value)
        old, new = were.get(person), told.get(person)
        before = old.kind if old else ChargeKind.REGULAR
        kind = ChargeKind(new.kind) if new and new.kind else before
        same = old if old and old.kind is kind else None
        order = new.order_no if new else same.order_no if same else None
        yield Charge(person, kind, same.begins if same else now, order)


def described(group: Group) -> tuple[str | None, ...]:
    """What is told of a post, whoever holds it."""
    told = post_of(group)
    return (
        group.display_name,
        told.post_number,
        told.designation_urdu,
        told.section,
        told.reports_to,
    )


def former(group: Group) -> Group:
    """A closed post with the number that this one had, so that nobody stays in its rooms."""
    closed = group.model_copy(deep=True, update={"members": None, "id": uuid.uuid4().hex})
    post_of(closed).post_number = post_number_of(group)
    return closed
