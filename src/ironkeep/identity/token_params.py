"""The token_* parameters that roles and users of all auth methods share.

Source: Vault, tokenutil.TokenParams. The names from before Vault 1.2 (policies, ttl, ...) are still
accepted, and are returned only where they were used to write.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.identity.people import made_again, made_by
from ironkeep.identity.policies import normalise_names
from ironkeep.identity.token_issuer import MAX_CIDRS, MAX_POLICIES
from ironkeep.plugin.call import Call
from ironkeep.plugin.cidr import parse_cidrs
from ironkeep.plugin.fields import CidrList, Duration, PolicyNames
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.token import Made, TokenSpec, TokenType
from ironkeep.store.record import Codec

TYPES: Final = frozenset({"default", "service", "batch", "default-service", "default-batch"})


@dataclass(frozen=True)
class TokenParamsInput:
    """The parameters in a request; None leaves a parameter as it is."""

    token_ttl: Duration | None = field(
        default=None,
        metadata={"alias": ("ttl",), "help": "Time to live of issued tokens, before renewal."},
    )
    token_max_ttl: Duration | None = field(
        default=None,
        metadata={"alias": ("max_ttl",), "help": "Longest life of issued tokens, with renewals."},
    )
    token_policies: PolicyNames | None = field(
        default=None, metadata={"alias": ("policies",), "help": "Policies of issued tokens."}
    )
    token_bound_cidrs: CidrList | None = field(
        default=None,
        metadata={
            "alias": ("bound_cidrs",),
            "help": "Addresses from which to log in and to use issued tokens.",
        },
    )
    token_explicit_max_ttl: Duration | None = field(
        default=None, metadata={"help": "Hard limit on the life of issued tokens."}
    )
    token_no_default_policy: bool | None = field(
        default=None, metadata={"help": "Leave the policy `default` out of issued tokens."}
    )
    token_num_uses: int | None = field(
        default=None,
        metadata={"alias": ("num_uses",), "help": "Uses of an issued token, 0 for any number."},
    )
    token_period: Duration | None = field(
        default=None,
        metadata={"alias": ("period",), "help": "TTL after each renewal; renewals have no end."},
    )
    token_type: str | None = field(
        default=None,
        metadata={"help": "default, service, batch, default-service or default-batch."},
    )


class TokenParams(msgspec.Struct, frozen=True, omit_defaults=True):
    """The stored parameters; durations are seconds, 0 is the mount's default.

    `old` lists the old names that were used to write them. `made` records the authors: all writers
    of a role, or the person who set a user's password.
    """

    token_ttl: int = 0
    token_max_ttl: int = 0
    token_policies: tuple[str, ...] = ()
    token_bound_cidrs: tuple[str, ...] = ()
    token_explicit_max_ttl: int = 0
    token_no_default_policy: bool = False
    token_num_uses: int = 0
    token_period: int = 0
    token_type: str = "default"  # noqa: S105 - a kind, not a token
    old: tuple[str, ...] = ()
    made: Made = Made()

    def of_role(self, given: TokenParamsInput, call: Call) -> "TokenParams":
        """Return a role's parameters as the call changes them; errors as `changed`.

        All authors of a role are behind its tokens, since each could have made it let them in.
        """
        changed = self.changed(given, call.raw)
        by = made_by(call.session, call.now_ns)
        return msgspec.structs.replace(changed, made=made_again(self.made, by))

    def changed(self, given: TokenParamsInput, raw: Mapping[str, Any]) -> "TokenParams":
        """Return these parameters with the given changes; raw shows which names were used.

        Raise InvalidRequest for values that contradict each other.
        """
        values = {name: value for name in _NAMES if (value := getattr(given, name)) is not None}
        if "token_policies" in values:
            values["token_policies"] = normalise_names(values["token_policies"], add_default=False)
        old = {name for name in self.old if _NEW[name] not in values}
        old |= {
            name for name, new in _NEW.items() if new in values and name in raw and new not in raw
        }
        fresh = msgspec.structs.replace(self, **values, old=tuple(sorted(old)))
        fresh.check()
        return fresh

    def check(self) -> None:
        """Raise InvalidRequest for values that contradict each other."""
        if self.token_type not in TYPES:
            raise InvalidRequest("invalid 'token_type' value")
        if self.token_num_uses < 0:
            raise InvalidRequest("'token_num_uses' cannot be negative")
        if self.token_max_ttl and self.token_ttl > self.token_max_ttl:
            raise InvalidRequest("'token_ttl' cannot be greater than 'token_max_ttl'")
        if self.token_type.endswith("batch") and (
            self.token_num_uses or self.token_period or self.token_explicit_max_ttl
        ):
            raise InvalidRequest(
                "'token_type' cannot be 'batch' or 'default-batch' with 'token_num_uses', "
                "'token_period' or 'token_explicit_max_ttl'"
            )
        if len(self.token_bound_cidrs) > MAX_CIDRS or len(self.token_policies) > MAX_POLICIES:
            raise InvalidRequest(f"at most {MAX_CIDRS} address ranges, {MAX_POLICIES} policies")
        parse_cidrs(self.token_bound_cidrs)

    def view(self) -> dict[str, Any]:
        """Return the parameters in the form of a response."""
        data: dict[str, Any] = {name: getattr(self, name) for name in _NAMES}
        return data | {name: data[_NEW[name]] for name in self.old}

    def spec(self, mount: Mount, display_name: str, path: str, alias: str, **who: Any) -> TokenSpec:
        """Return the specification of the token that a login at mount, at path, receives."""
        return TokenSpec(
            policies=self.token_policies,
            display_name=display_name,
            path=path,
            type=token_type(self.token_type, mount),
            alias=alias,
            ttl_seconds=self.token_ttl,
            max_ttl_seconds=self.token_max_ttl,
            explicit_max_ttl_seconds=self.token_explicit_max_ttl,
            period_seconds=self.token_period,
            num_uses=self.token_num_uses,
            bound_cidrs=self.token_bound_cidrs,
            no_default_policy=self.token_no_default_policy,
            made=(self.made,),
            **who,
        )


def display_name(mount: Mount, name: str = "") -> str:
    """Return the display name of a login's token: the mount's path and a name, with dashes."""
    prefix = mount.path.removeprefix("auth/").rstrip("/").replace("/", "-")
    return f"{prefix}-{name}" if name else prefix


LOGIN: Final = "login"
"""The kind under which the history records a login's token parameters, by `login_name`."""

LOGINS: Final = Codec(TokenParams)


def login_name(mount: Mount, alias: str) -> str:
    """Return the name under which the history records the token parameters of alias at mount."""
    return f"{mount.accessor}/{alias}"


_NAMES: Final = tuple(name for name in TokenParams.__struct_fields__ if name not in {"old", "made"})
_NEW: Final = {
    "ttl": "token_ttl",
    "max_ttl": "token_max_ttl",
    "policies": "token_policies",
    "bound_cidrs": "token_bound_cidrs",
    "num_uses": "token_num_uses",
    "period": "token_period",
}


def token_type(wanted: str, mount: Mount, asked: str = "") -> TokenType:
    """Return a token's type: the role's fixed type, else the requested type, else the default.

    "default" leaves the type to the mount, whose config may also fix one.
    """
    for rule in (wanted, str(mount.config.get("token_type") or ""), "default-service"):
        if rule in {"", "default"}:
            continue
        if rule in {"service", "batch"}:
            return cast("TokenType", rule)
        if asked in {"service", "batch"}:
            return cast("TokenType", asked)
        if rule.startswith("default-"):
            return cast("TokenType", rule.removeprefix("default-"))
    return "service"
