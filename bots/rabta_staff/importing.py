"""Carries a list of staff into the register, whole or not at all."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from rabta_staff.faults import Fault, StaffError
from rabta_staff.people import number_of, post_number_of
from rabta_staff.register import Register
from rabta_staff.shapes import (
    PERSON,
    PERSON_TYPE,
    POST,
    POST_TYPE,
    Capacity,
    Group,
    Member,
    User,
    enterprise_of,
    post_of,
    serves,
    staff_of,
)
from rabta_staff.staff_list import Listed, StaffList, parse, place

LARGEST = 32 * 1024 * 1024
"""Bytes of a list."""


class _Tried(Exception):  # noqa: N818 - no error: a dry run ends so
    """What a dry run would have done."""


def carry_out(register: Register, raw: bytes, *, whole: bool, dry_run: bool) -> list[str]:
    """Bring the register to what a list says.

    Whoever stands in it holds the charges that it names and no others.

    Args:
        register: The register.
        raw: The list, CSV in UTF-8.
        whole: The list is all of the ministry: whoever does not stand in it leaves.
        dry_run: Change nothing.

    Returns:
        What was done, or would be, one line each; empty when all is so already.

    Raises:
        StaffError: `list-unreadable` or `list-faulty`, with every fault; nothing was changed.
    """
    told: list[str] = []
    try:
        with register.operation():
            known = {post_number_of(group): group for group in register.all_posts()}
            _Import(register, parse(raw, known), known).run(whole=whole)
            told += map(str, register.notes)
            if dry_run:
                raise _Tried  # noqa: TRY301 - what was tried is undone by the operation
    except _Tried:
        pass
    return told


class _Import:
    """One list on its way into the register."""

    def __init__(self, register: Register, wanted: StaffList, posts: Mapping[str, Group]) -> None:
        self._register = register
        self._wanted = wanted
        self._posts = dict(posts)
        self._users = {number_of(user): user for user in register.all_users()}
        self._faults: list[Fault] = []

    def run(self, *, whole: bool) -> None:
        self._look_at_accounts()
        if self._faults:
            raise StaffError("list-faulty", self._faults)
        staying = [
            number
            for number, person in self._wanted.persons.items()
            if person.told.get("status") != "left"
        ]
        for number in staying:
            self._person(number, self._wanted.persons[number])
        for number, described in self._wanted.posts.items():
            self._post(number, described)
        listed = {str(self._users[number].id) for number in staying}
        held = defaultdict(list)
        for (post, person), charge in self._wanted.charges.items():
            held[post].append(self._capacity(person, charge))
        for post in list(self._posts):
            self._hold(post, held[post], listed)
        leaving = self._wanted.persons.keys() - staying
        if whole:
            leaving |= self._users.keys() - staying
        for number in sorted(leaving & self._users.keys()):
            self._leave(self._users[number])

    def _look_at_accounts(self) -> None:
        names = {str(user.user_name).casefold(): number for number, user in self._users.items()}
        taken = {one.localpart for one in self._register.accounts.values()}
        for number, person in self._wanted.persons.items():
            known = self._users.get(number)
            user_name = person.told.get("user_name", known.user_name if known else number)
            other = names.get(str(user_name).casefold(), number)
            if other != number:
                says, cure = f"is that of {other}", "give the person one of her or his own"
                self._faults.append(Fault(place(person.row, "user_name"), says, cure))
            account = person.told.get("account")
            if account is None:
                continue
            mine = self._register.accounts[str(known.id)].localpart if known else None
            if mine not in {None, account}:
                says, cure = f"the account of {number} is {mine}", "write that, or nothing"
                self._faults.append(Fault(place(person.row, "account"), says, cure))
            elif mine is None and (account in taken or account in self._register.reserved):
                says, cure = f"{account} is another's", "write the person's own, or nothing"
                self._faults.append(Fault(place(person.row, "account"), says, cure))

    def _person(self, number: str, listed: Listed) -> None:
        known = self._users.get(number)
        user = known.model_copy(deep=True) if known else PERSON(user_name=number)
        told = listed.told
        user.user_name = told.get("user_name", user.user_name)
        user.external_id = told.get("external_id", user.external_id)
        user.display_name = told["name"]
        user.preferred_language = told.get("language", user.preferred_language)
        user.active = user.active if serves(user) else True
        enterprise_of(user).employee_number = number
        staff_of(user).name_urdu = told.get("name_ur", staff_of(user).name_urdu)
        if known is None:
            self._users[number] = self._register.join(user, account=told.get("account"))
            return
        account = self._register.accounts[str(known.id)]
        if told.get("account") and not account.owned:
            # The operator says that the account that was there is this person's.
            self._register.claim(str(known.id))
        if user.model_dump() != known.model_dump():
            self._register.update(PERSON_TYPE, user)

    def _post(self, number: str, listed: Listed) -> None:
        known = self._posts.get(number)
        group = known.model_copy(deep=True) if known else POST()
        post, told = post_of(group), listed.told
        group.display_name = told["designation"]
        post.post_number = number
        post.designation_urdu = told.get("designation_ur", post.designation_urdu)
        post.section = told.get("section", post.section)
        post.reports_to = told.get("reports_to", post.reports_to)
        if known is None:
            created = self._register.create(POST_TYPE, group)
            if isinstance(created, Group):
                self._posts[number] = created
        elif group.model_dump() != known.model_dump():
            self._posts[number] = self._updated(group)

    def _capacity(self, person: str, listed: Listed) -> Capacity:
        return Capacity(
            value=self._users[person].id,
            kind=listed.told.get("kind", "regular"),
            order_no=listed.told.get("order_no"),
        )

    def _hold(self, number: str, wanted: list[Capacity], listed: Collection[str]) -> None:
        """Have a post held by whom the list says, and by those of whom it says nothing."""
        group = self._posts[number]
        present = [
            Capacity(value=one.person, kind=one.kind.value, order_no=one.order_no)
            for one in self._register.charges.get(str(group.id), ())
        ]
        capacities = [*(one for one in present if one.value not in listed), *wanted]
        if _told(capacities) != _told(present):
            group = group.model_copy(deep=True)
            group.members = [Member(value=one.value) for one in capacities]
            post_of(group).capacities = capacities
            self._posts[number] = self._updated(group)

    def _leave(self, user: User) -> None:
        self._register.relieve(str(user.id))
        present = self._register.user(str(user.id))
        if present is not None and serves(present):
            present.active = False
            self._register.update(PERSON_TYPE, present)

    def _updated(self, group: Group) -> Group:
        updated = self._register.update(POST_TYPE, group)
        return updated if isinstance(updated, Group) else group


def _told(capacities: list[Capacity]) -> set[tuple[str | None, str | None, str | None]]:
    return {(one.value, one.kind, one.order_no) for one in capacities}
