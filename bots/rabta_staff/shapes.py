"""What SCIM's clients see: users are persons, groups are posts. Shapes alone, no storage.

Only what Rabta has a use for is offered: no addresses, no telephone numbers, no passwords.
"""

from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import Field
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Extension,
    Filter,
    GroupMembership,
    Im,
    Mutability,
    Name,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

from rabta_contract.vocabulary import ChargeKind

MOST_RESULTS = 200
Language = Literal["en", "ur"]
_NUMBER = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
"""How e-Office's ids of persons and posts are spelt."""
_Line = Annotated[str | None, Field(max_length=120)]
T = TypeVar("T", bound=Extension)


class User(Resource[Any]):
    """A person (RFC 7643, 4.1), by the attributes that are kept."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = Field(
        None, max_length=255, min_length=1
    )
    name: Name | None = None
    display_name: _Line = None
    title: _Line = None
    preferred_language: _Line = None
    active: bool | None = None
    # The Matrix user id, which the service gives.
    ims: Annotated[list[Im] | None, Mutability.read_only] = None
    groups: Annotated[list[GroupMembership] | None, Mutability.read_only] = None


class EnterpriseUser(Extension):
    """The number by which e-Office knows the person (RFC 7643, 4.3)."""

    __schema__ = URN("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")

    employee_number: Annotated[str | None, Uniqueness.server, CaseExact.true] = Field(
        None, pattern=_NUMBER
    )


class StaffUser(Extension):
    """What a ministry's person has beside."""

    __schema__ = URN("urn:rabta:scim:schemas:extension:staff:1.0:User")

    name_urdu: _Line = None


class Member(ComplexAttribute):
    """Who holds a post (RFC 7643, 4.2)."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    ref: Annotated[Reference["User"] | None, Mutability.immutable] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User"])


class Group(Resource[Any]):
    """A post (RFC 7643, 4.2); its members hold it."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Required.true] = Field(None, max_length=120, min_length=1)
    members: list[Member] | None = None


class Capacity(ComplexAttribute):
    """In what capacity a member holds the post, as the client says it.

    Attributes:
        value: The member; who is none is passed over.
        kind: As in e-Office's contract.
        order_no: The order that the charge rests on.
    """

    value: Annotated[str | None, Required.true, CaseExact.true] = None
    kind: Annotated[str | None, CaseExact.true] = Field(
        None, pattern=f"^({'|'.join(ChargeKind)})$", examples=list(ChargeKind)
    )
    order_no: _Line = None


class StaffGroup(Extension):
    """What a ministry's post has beside."""

    __schema__ = URN("urn:rabta:scim:schemas:extension:staff:1.0:Group")

    post_number: Annotated[str | None, Uniqueness.server, CaseExact.true] = Field(
        None, pattern=_NUMBER
    )
    designation_urdu: _Line = None
    section: _Line = None
    reports_to: Annotated[str | None, CaseExact.true] = Field(None, pattern=_NUMBER)
    capacities: list[Capacity] | None = None


# scim2-models makes the model with its extensions when asked so.
PERSON = User[EnterpriseUser | StaffUser]  # type: ignore[type-arg]
POST = Group[StaffGroup]  # type: ignore[type-arg]
PERSON_TYPE = ResourceType.from_resource(PERSON)
POST_TYPE = ResourceType.from_resource(POST)


def _extension(resource: Resource[Any], model: type[T]) -> T:
    """An extension of a resource, put there where it is absent."""
    found = resource[model]
    if found is None:
        resource[model] = found = model()
    return cast("T", found)


def matrix_id_of(user: User) -> str:
    """The Matrix user id of a person."""
    return str((user.ims or [Im()])[0].value)


def enterprise_of(user: User) -> EnterpriseUser:
    """The enterprise extension of a person."""
    return _extension(user, EnterpriseUser)


def staff_of(user: User) -> StaffUser:
    """Our extension of a person."""
    return _extension(user, StaffUser)


def post_of(group: Group) -> StaffGroup:
    """Our extension of a post."""
    return _extension(group, StaffGroup)


def serves(user: User) -> bool:
    """Whether a person is in service; who is not told to be out is in."""
    return user.active is not False


def provider() -> ScimProvider:
    """The service as its discovery endpoints tell it."""
    return ScimProvider(
        models=[User, EnterpriseUser, StaffUser, Group, StaffGroup],
        resource_types=[PERSON_TYPE, POST_TYPE],
        config=ServiceProviderConfig(
            documentation_uri=None,
            patch=Patch(supported=True),
            bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
            filter=Filter(supported=True, max_results=MOST_RESULTS),
            change_password=ChangePassword(supported=False),
            sort=Sort(supported=True),
            etag=ETag(supported=True),
            authentication_schemes=[
                AuthenticationScheme(
                    type=AuthenticationScheme.Type.oauthbearertoken,
                    name="Bearer token",
                    description="A token that the ministry's operator hands over (RFC 6750).",
                    primary=True,
                )
            ],
        ),
        # What is not kept is passed over: identity providers send e-mail addresses unasked.
        policy=ScimPolicy(unknown=ScimPolicy.Unknown.ignore),
    )
