"""Who calls, as the authorizer found out, and what they may do.

A service acts across organisations, as far as its scopes go. A member acts for its own organisation: it may
use the routes open to members, some of them only with the role `admin`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cutlass.domain.errors import ForbiddenError, UnauthenticatedError

ORG_CLAIM, ROLE_CLAIM = "custom:org_id", "custom:role"
"""The claims of a member's token, and the attributes of a user they come from."""


class CallerKind(StrEnum):
    """The two kinds of token."""

    SERVICE = "service"
    MEMBER = "member"


class Role(StrEnum):
    """What a member is in its organisation; an admin is a member too."""

    MEMBER = "member"
    ADMIN = "admin"


class Scope(StrEnum):
    """What a service may be allowed."""

    USAGE_CHECK = "usage/check"
    USAGE_READ = "usage/read"
    CREDITS_WRITE = "credits/write"
    REPORTS_WRITE = "reports/write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a route: a service with `scope` (None: any), a member with `member_role` (None: none)."""

    scope: Scope | None
    member_role: Role | None = Role.MEMBER


@dataclass(frozen=True, slots=True)
class AuthContext:
    """The caller of one request. `org_id` and `role` are a member's, `scopes` a service's."""

    principal: str
    kind: CallerKind
    scopes: frozenset[str] = frozenset()
    org_id: str | None = None
    role: Role | None = None

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "AuthContext":
        """Read what the authorizer wrote into an API Gateway event.

        Raises
        ------
        UnauthenticatedError
            The event did not pass the authorizer, or the authorizer wrote something else.
        """
        found = (event.get("requestContext") or {}).get("authorizer") or {}
        try:
            kind = CallerKind(found["kind"])
            if kind is CallerKind.SERVICE:
                return cls(found["principalId"], kind, frozenset(found["scope"].split()))
            return cls(found["principalId"], kind, org_id=found["org_id"], role=Role(found["role"]))
        except (KeyError, ValueError, AttributeError):
            raise UnauthenticatedError("the request carries no verified token") from None

    def require(self, access: Access) -> None:
        """Refuse a caller that may not use the route at all.

        Raises
        ------
        ForbiddenError
            The scope or the role is missing.
        """
        if self.kind is CallerKind.SERVICE:
            if access.scope is not None and access.scope not in self.scopes:
                raise ForbiddenError(f"the token lacks the scope {access.scope}")
        elif access.member_role is None:
            raise ForbiddenError(f"only a service with the scope {access.scope} may do this")
        elif access.member_role is Role.ADMIN and self.role is not Role.ADMIN:
            raise ForbiddenError("only an admin of the organisation may do this")

    def require_organisation(self, org_id: str) -> None:
        """Refuse a member of another organisation.

        Raises
        ------
        ForbiddenError
            It is another one. That says nothing of whether it exists.
        """
        if self.kind is CallerKind.MEMBER and self.org_id != org_id:
            raise ForbiddenError("the token is for another organisation")
