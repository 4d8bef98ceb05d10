"""What SCIM's clients see: users are persons, groups are posts. Shapes alone, no storage.

Only what Rabta has a use for is offered: no addresses, no telephone numbers, no passwords.
"""

from typing import Annotated, Any

from pydantic import Field
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ETag,
    Extension,
    Filter,
    GroupMember,
    GroupMembership,
    Mutability,
    Name,
    Patch,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

MOST_RESULTS = 200


class User(Resource[Any]):
    """A person (RFC 7643, 4.1), by the attributes that are kept."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = Field(
        None, max_length=255, min_length=1
    )
    name: Name | None = None
    display_name: Annotated[str | None, Field(max_length=120)] = None
    title: Annotated[str | None, Field(max_length=120)] = None
    preferred_language: Annotated[str | None, Field(max_length=35)] = None
    active: bool | None = None
    groups: Annotated[list[GroupMembership] | None, Mutability.read_only] = None


class EnterpriseUser(Extension):
    """The number by which e-Office knows the person (RFC 7643, 4.3)."""

    __schema__ = URN("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")

    employee_number: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] = (
        None
    )


class StaffUser(Extension):
    """What a ministry's person has beside."""

    __schema__ = URN("urn:rabta:scim:schemas:extension:staff:1.0:User")

    name_urdu: Annotated[str | None, Field(max_length=120)] = None
    matrix_id: Annotated[str | None, Mutability.read_only, CaseExact.true] = None


class Group(Resource[Any]):
    """A post (RFC 7643, 4.2); its members hold it."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Required.true] = Field(None, max_length=120, min_length=1)
    members: list[GroupMember] | None = None


class StaffGroup(Extension):
    """What a ministry's post has beside."""

    __schema__ = URN("urn:rabta:scim:schemas:extension:staff:1.0:Group")

    post_number: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] = None
    designation_urdu: Annotated[str | None, Field(max_length=120)] = None
    section: Annotated[str | None, Field(max_length=120)] = None
    grade: Annotated[int | None, Field(ge=1, le=22)] = None
    reports_to: Annotated[str | None, CaseExact.true, Field(max_length=128)] = None


PERSON = User[EnterpriseUser | StaffUser]
POST = Group[StaffGroup]


def provider() -> ScimProvider:
    """The service as its discovery endpoints tell it."""
    return ScimProvider(
        models=[User, EnterpriseUser, StaffUser, Group, StaffGroup],
        resource_types=[ResourceType.from_resource(PERSON), ResourceType.from_resource(POST)],
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


__all__ = [
    "PERSON",
    "POST",
    "EnterpriseUser",
    "Group",
    "StaffGroup",
    "StaffUser",
    "User",
    "provider",
]
