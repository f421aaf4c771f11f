"""Checks of a verified token's claims against a role: pure functions.

Spec: RFC 7519, section 4.1, and Vault's auth/jwt for bound claims. Stricter than both: `exp` and
`aud` are required, and a token may not live for more than a day.
"""

import sys
from typing import Any, Final

from ironkeep.auth.jwt.role import Role
from ironkeep.core.errors import InvalidCredentials
from ironkeep.core.policy.glob import matches
from ironkeep.core.text.visible import is_text
from ironkeep.core.units import SECOND_NS

MAX_LIFE_SECONDS: Final = 24 * 3600
"""A token that lives longer is as good as a password, and its `jti` would be stored as long."""
MAX_VALUE: Final = 512
"""Characters of a claim that becomes a name or metadata."""
MAX_TIME: Final = sys.float_info.max
"""POSIX seconds; above it are infinity and integers too large for a float."""


def check(claims: dict[str, Any], role: Role, issuer: str, now_ns: int) -> None:
    """Raise InvalidCredentials with the reason unless the claims satisfy the role now.

    (1) `exp`, `nbf` and `iat` allow use now. (2) `iss` is the configured issuer. (3) `aud` has an
    audience of the role. (4) `sub` and (5) every bound claim match.
    """
    _check_times(claims, role, now_ns // SECOND_NS)
    for expected in (issuer, role.bound_issuer):
        if expected and claims.get("iss") != expected:
            raise InvalidCredentials("claim iss is not the bound issuer")
    audiences = claims.get("aud")
    given = audiences if isinstance(audiences, list) else [audiences]
    if not any(isinstance(each, str) and each in role.bound_audiences for each in given):
        raise InvalidCredentials("claim aud has no bound audience")
    if role.bound_subject and claims.get("sub") != role.bound_subject:
        raise InvalidCredentials("claim sub is not the bound subject")
    for name, wanted in role.bound_claims.items():
        if not _is_bound(find(claims, name), wanted, globs=role.bound_claims_type == "glob"):
            raise InvalidCredentials(f"claim {name} does not match")


def excludes(role: Role, user: str) -> bool:
    """Return whether no claims that name a user satisfy a role, whatever the other claims are."""
    if role.user_claim == "sub" and role.bound_subject not in ("", user):
        return True
    wanted = role.bound_claims.get(role.user_claim)
    globs = role.bound_claims_type == "glob"
    return wanted is not None and not _is_bound(user, wanted, globs=globs)


def expires(claims: dict[str, Any], role: Role) -> int:
    """Return the POSIX second at which the token expires, leeways included."""
    return _second(claims, "exp", 0) + role.clock_skew() + role.expiration_leeway


def _check_times(claims: dict[str, Any], role: Role, now: int) -> None:
    skew = role.clock_skew()
    if "exp" not in claims:
        raise InvalidCredentials("claim exp is missing")
    if now >= expires(claims, role):
        raise InvalidCredentials("the token has expired")
    issued = _second(claims, "iat", now)
    if _second(claims, "exp", 0) - min(issued, now) > MAX_LIFE_SECONDS:
        raise InvalidCredentials(f"the token is good for more than {MAX_LIFE_SECONDS} seconds")
    if issued > now + skew:
        raise InvalidCredentials("claim iat is in the future")
    if _second(claims, "nbf", now) > now + skew + role.not_before_leeway:
        raise InvalidCredentials("the token is not good yet")


def _second(claims: dict[str, Any], name: str, absent: int) -> int:
    value = claims.get(name, absent)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared before it is converted: an integer may be too large for a float. NaN fails too.
    if not is_number or not -MAX_TIME <= value <= MAX_TIME:
        raise InvalidCredentials(f"claim {name} is not a time")
    return int(value)


def find(claims: dict[str, Any], name: str) -> Any:
    """Return a claim by name or by JSON pointer (RFC 6901), None when it is absent."""
    if name in claims or not name.startswith("/"):
        return claims.get(name)
    value: Any = claims
    for part in name[1:].split("/"):
        if not isinstance(value, dict):
            return None
        value = value.get(part.replace("~1", "/").replace("~0", "~"))
    return value


def _is_bound(value: Any, wanted: tuple[str, ...], *, globs: bool) -> bool:
    texts = [text_of(each) for each in (value if isinstance(value, list) else [value])]
    return any(
        text is not None and (matches(wanted, text) if globs else text in wanted) for text in texts
    )


def text_of(value: Any) -> str | None:
    """Return a claim's value as text, as roles write it; None for other types or invalid text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if is_text(value) else None
    return str(value) if isinstance(value, int) else None


def user_of(claims: dict[str, Any], role: Role) -> str:
    """Return the user claim, which becomes the alias; raise InvalidCredentials without one."""
    by_pointer = role.user_claim_json_pointer
    value = find(claims, role.user_claim) if by_pointer else claims.get(role.user_claim)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_VALUE or not value.isprintable():
        raise InvalidCredentials(f"claim {role.user_claim} is not a name")
    return value


def metadata_of(claims: dict[str, Any], role: Role) -> dict[str, str]:
    """Return the token metadata from the mapped claims; raise InvalidCredentials without one."""
    found: dict[str, str] = {}
    for name, key in role.claim_mappings.items():
        text = text_of(find(claims, name))
        if text is None or len(text) > MAX_VALUE:
            raise InvalidCredentials(f"claim {name} is to be mapped, but absent or too long")
        found[key] = text
    return found
