"""Logins of the auth method `jwt`.

Whatever is wrong with role or token, the error is the same, so that an attacker learns nothing.
Administrators call `role/<name>/explain` for the reason.

    passing / jti / hash -> marks a token that has logged in, until it expires
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.devices.machine import bound, shortened
from ironkeep.auth.jwt import claims as facts, config as configs
from ironkeep.auth.jwt.config import FRESH_NS, Config, find_config, static_keys
from ironkeep.auth.jwt.keys import MAX_DOCUMENT, Key, UnknownKey, keys_of_jwks, verify
from ironkeep.auth.jwt.role import ROLE_KEY, ROLES, Role
from ironkeep.core.errors import InvalidCredentials, InvalidRequest, NotFound, Unavailable
from ironkeep.core.secret import Secret
from ironkeep.core.text.spelling import folded
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.roles import check_address, clean_name
from ironkeep.identity.token_params import display_name
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.expiring import FOLDER
from ironkeep.plugin.effects.outbound import Outbound
from ironkeep.plugin.response import Response

REFUSED: Final = "the role does not take this token"


@dataclass(frozen=True)
class LoginInput:
    """A token signed by the platform, and the role to log in to."""

    role: str = field(default="", metadata={"help": "The role; the default one if not given."})
    jwt: Secret | None = field(default=None, metadata={"help": "The signed token."})


def login(call: Call, given: LoginInput) -> Response | Suspend:
    """Log in with a signed token; fetch the published keys first when needed."""
    token = _token(given)
    config = find_config(call)
    if config is None:
        raise InvalidCredentials(REFUSED)
    if not config.jwks_url:
        return _login(call, given, config, static_keys(config))
    known = configs.fetched(call, config)
    keys = () if known is None else keys_of_jwks(known.document)
    old = known is None or call.now_ns - known.fetched_ns >= FRESH_NS
    if not old and not _is_unknown(token, keys, config):
        return _login(call, given, config, keys)
    if configs.may_fetch(call, config):
        return Suspend(
            _fetching(call, config), lambda later, body: _fetched(later, given, config, body)
        )
    return _with(call, given, config, keys)


def _is_unknown(token: str, keys: tuple[Key, ...], config: Config) -> bool:
    try:
        verify(token, keys, config.algorithms)
    except UnknownKey:
        return True
    except InvalidCredentials:
        return False
    return False


def _fetching(call: Call, config: Config) -> Callable[[], bytes]:
    outbound = call.use(Outbound)
    return lambda: bytes(outbound.get(config.jwks_url, config.jwks_ca_pem, MAX_DOCUMENT))


def _fetched(call: Call, given: LoginInput, before: Config, body: Any) -> Response:
    """Continue a login after the fetch, under the configuration as it is now."""
    config = find_config(call)
    if config is None or config.source != before.source:
        raise InvalidCredentials(REFUSED)
    if isinstance(body, Exception) or not configs.keep(call, config, body):
        text, mount = "an issuer's keys could not be fetched", call.mount
        call.use(Alerts).repeated(
            call.account, "jwks", text, call.now_ns, subject=mount.uuid, path=mount.path
        )
    known = configs.fetched(call, config)
    return _with(call, given, config, () if known is None else keys_of_jwks(known.document))


def _with(call: Call, given: LoginInput, config: Config, keys: tuple[Key, ...]) -> Response:
    if not keys:
        raise Unavailable("the issuer's keys cannot be fetched now: try again in half a minute")
    return _login(call, given, config, keys)


def _login(call: Call, given: LoginInput, config: Config, keys: tuple[Key, ...]) -> Response:
    try:
        name, role, said = _judge(call, given, config, keys)
    except InvalidCredentials:
        raise InvalidCredentials(REFUSED) from None
    return _issue(call, name, role, said, config)


def _judge(
    call: Call, given: LoginInput, config: Config, keys: tuple[Key, ...]
) -> tuple[str, Role, dict[str, Any]]:
    """Return role name, role and claims of a token that may log in.

    Raise InvalidCredentials with the reason otherwise. The signature is verified first: before
    that, no claim is used.
    """
    said = verify(_token(given), keys, config.algorithms)
    name = folded(given.role or config.default_role)
    role = ROLES.find(call, clean_name(name)) if name else None
    if role is None:
        raise InvalidCredentials("there is no such role")
    facts.check(said, role, config.bound_issuer, call.now_ns)
    check_address(call, role.params)
    if _is_single(said, role) and call.store.get(_jti_path(said)) is not None:
        raise InvalidCredentials("a token with this jti has logged in already")
    facts.user_of(said, role)
    facts.metadata_of(said, role)
    return name, role, said


def _issue(call: Call, name: str, role: Role, said: dict[str, Any], config: Config) -> Response:
    if _is_single(said, role):
        due_ns = facts.expires(said, role) * SECOND_NS
        call.store.put(_jti_path(said), b"\x01", due_ns)
    user = facts.user_of(said, role)
    metadata = {**facts.metadata_of(said, role), ROLE_KEY: name}
    shown = display_name(call.mount, user)
    spec = role.params.spec(call.mount, shown, call.request.path, user, meta=metadata, role=name)
    spec = replace(spec, made=(*spec.made, config.made))
    issuer, subject = facts.text_of(said.get("iss")) or "", facts.text_of(said.get("sub")) or ""
    return Response(
        issue=bound(call, shortened(spec), role.token_bound_peer),
        audited={"role": name, "iss": issuer[: facts.MAX_VALUE], "sub": subject[: facts.MAX_VALUE]},
    )


def _is_single(said: dict[str, Any], role: Role) -> bool:
    return role.jti_single_use and said.get("jti") is not None


def _jti_path(said: dict[str, Any]) -> str:
    """Return the path that marks a token as used; `jti` is unique per issuer (RFC 7519, 4.1.7)."""
    text = f"{said.get('iss')!r}\0{said.get('jti')!r}"
    return f"{FOLDER}/jti/{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _token(given: LoginInput) -> str:
    if given.jwt is None or not len(given.jwt):
        raise InvalidRequest("missing token")
    return given.jwt.reveal().decode("utf-8", "replace")


def explain(call: Call, given: LoginInput) -> Response:
    """Return whether a role accepts a token, and why not, without a login and without a fetch."""
    config = find_config(call)
    if config is None:
        raise NotFound("the method is not configured")
    known = configs.fetched(call, config) if config.jwks_url else None
    keys = () if config.jwks_url else static_keys(config)
    if known is not None:
        keys = keys_of_jwks(known.document)
    try:
        _judge(call, LoginInput(ROLES.name_of(call), given.jwt), config, keys)
    except InvalidCredentials as refusal:
        return Response(data={"accepted": False, "reason": str(refusal)})
    return Response(data={"accepted": True, "reason": ""})
