"""Mounts: enable, list, tune and disable secrets engines and auth methods.

Source: the Vault HTTP API, sys/mounts, sys/auth. Disabling a mount destroys its data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ironkeep.access.devices.devices import REQUIRED, TOKEN_DEVICE
from ironkeep.access.second_person import waits
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.engines.system.unguarding import admit_any_device, let_go, unguard
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.pauses import in_turns
from ironkeep.plugin.fields import (
    CommaList,
    EngineType,
    KvPairs,
    LeaseLength,
    duration,
    parse,
)
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import MAX_DESCRIPTION, SINGLETONS, new_mount
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Handler, Route, Upgrader
from ironkeep.seal.segments import OPTION as SEGMENT
from ironkeep.store.reserved import MOUNTS

AUTH: Final = "auth/"
AUTH_TYPES: Final = frozenset({"approle", "cert", "jwt", "passkey", "token", "userpass"})
_ALIASES: Final = {"kv-v2": ("kv", {"version": "2"}), "kv-v1": ("kv", {"version": "1"}),
                   "generic": ("kv", {"version": "1"})}  # fmt: skip
_SECONDS: Final = ("default_lease_ttl", "max_lease_ttl")
_OF_SYSTEM: Final = "system"
_VISIBILITIES: Final = frozenset({"", "hidden", "unauth"})
_TOKEN_TYPES: Final = frozenset({"", "default-service", "default-batch", "service", "batch"})
_TUNABLE: Final = (
    *_SECONDS, "audit_non_hmac_request_keys", "audit_non_hmac_response_keys",
    "listing_visibility", "passthrough_request_headers", "allowed_response_headers",
    "token_type", "user_lockout_config",
)  # fmt: skip


@dataclass(frozen=True)
class Enable:
    """The type of a new mount, and its settings."""

    path: str
    type: EngineType = field(default="", metadata={"alias": ("plugin_name",)})
    description: str = ""
    config: dict[str, Any] | None = None
    options: KvPairs | None = None
    local: bool = False
    seal_wrap: bool = False
    external_entropy_access: bool = False
    plugin_version: str = ""


@dataclass(frozen=True)
class Tune:
    """Settings to change; omitted ones stay unchanged."""

    path: str
    description: str | None = None
    options: KvPairs | None = None
    force_no_cache: bool | None = field(
        default=None, metadata={"help": "Accepted without effect: nothing here is cached."}
    )
    default_lease_ttl: LeaseLength | None = field(
        default=None, metadata={"help": 'A duration; "system": the server\'s; "": unchanged.'}
    )
    max_lease_ttl: LeaseLength | None = None
    listing_visibility: str | None = None
    token_type: str | None = None
    audit_non_hmac_request_keys: CommaList | None = None
    audit_non_hmac_response_keys: CommaList | None = None
    passthrough_request_headers: CommaList | None = None
    allowed_response_headers: CommaList | None = None
    user_lockout_config: dict[str, Any] | None = None


@dataclass(frozen=True)
class Path:
    """The input that names a mount."""

    path: str


def _slash(path: str) -> str:
    return path.strip("/") + "/"


def shape(mount: Mount) -> dict[str, Any]:
    """Return a mount as listings show it; option values are strings, which Go clients require."""
    config: dict[str, Any] = {
        "default_lease_ttl": mount.config.get("default_lease_ttl", 0),
        "max_lease_ttl": mount.config.get("max_lease_ttl", 0),
        "force_no_cache": False,
    }
    config |= {name: mount.config[name] for name in _TUNABLE if name in mount.config}
    if mount.path.startswith(AUTH):
        config.setdefault("token_type", "default-service")
    return {
        "type": mount.type,
        "description": mount.description,
        "accessor": mount.accessor,
        "uuid": mount.uuid,
        "local": mount.local,
        "seal_wrap": mount.seal_wrap,
        "external_entropy_access": False,
        "options": dict(mount.options) or None,
        "config": config,
        "plugin_version": "",
        "running_plugin_version": "v0.1.0+builtin",
        "running_sha256": "",
        "deprecation_status": "supported",
    }


class Side:
    """One of the two halves of the mount table: secrets engines or auth methods."""

    def __init__(self, prefix: str) -> None:
        self._prefix: Final = prefix

    def _path(self, path: str) -> str:
        return self._prefix + _slash(path)

    def mounts(self, call: Call) -> dict[str, Mount]:
        """Return the mounts of this half by their paths below the prefix."""
        house = call.use(House)
        table = house.mounts.table(house.store(call.tx, MOUNTS))
        is_auth = bool(self._prefix)
        return {
            path.removeprefix(self._prefix): mount
            for path, mount in table.by_path.items()
            if path.startswith(AUTH) is is_auth
        }

    def find(self, call: Call, path: str) -> Mount:
        """Return the mount at path; raise InvalidRequest."""
        mount = self.mounts(call).get(_slash(path))
        if mount is None:
            what = "auth method" if self._prefix else "secret engine"
            raise InvalidRequest(f"No {what} mount at {_slash(path)}")
        return mount

    def list(self, call: Call) -> Response:
        """Return all mounts of this half."""
        return Response(data={path: shape(m) for path, m in self.mounts(call).items()})

    def read(self, call: Call, given: Path) -> Response:
        """Return one mount."""
        return Response(data=shape(self.find(call, given.path)))

    def enable(self, call: Call, given: Enable) -> Response:
        """Mount a secrets engine or an auth method."""
        house = call.use(House)
        kind, options = _ALIASES.get(given.type, (given.type, {}))
        known = kind in house.plugins and (kind in AUTH_TYPES) is bool(self._prefix)
        if not kind or not known:
            raise InvalidRequest(f"plugin not found in the catalog: {kind[:64]}")
        if kind in SINGLETONS:
            raise InvalidRequest(f"mount type of {kind!r} is not mountable")
        if given.external_entropy_access or given.plugin_version:
            raise InvalidRequest("external_entropy_access and plugin_version are not supported")
        if not self._prefix and _slash(given.path).startswith(AUTH):
            raise InvalidRequest(f"secrets engines cannot be mounted below {AUTH}")
        path = self._path(given.path)
        mount = new_mount(
            path, kind, house.entropy,
            description=given.description,
            options=_options(kind, {**options, **(given.options or {})}),
            config=_first_config(path, kind, given.config or {}),
            local=given.local, seal_wrap=given.seal_wrap,
        )  # fmt: skip
        house.mounts.add(call.tx, house.store(call.tx, MOUNTS), mount, call.now_ns)
        if SEGMENT in mount.options:
            house.segments.place(call.tx, mount.options[SEGMENT], mount.uuid, mount.accessor)
        return Response(
            audited={"mount_uuid": mount.uuid, "segment": mount.options.get(SEGMENT, "")}
        )

    def disable(self, call: Call, given: Path) -> Response | Suspend:
        """Revoke all leases, unmount and destroy the data; succeed if there is no such mount.

        The data is kept until the engine has ended the credentials that it lent.
        """
        house = call.use(House)
        mount = self.mounts(call).get(_slash(given.path))
        if mount is None:
            return Response()
        if mount.type in SINGLETONS:
            raise InvalidRequest(f"cannot unmount {mount.path!r}")
        answer = let_go(call, mount)
        if waits(answer):
            return answer
        return in_turns(
            call,
            house.sweeps.in_turns(call, mount.path),
            lambda later, _: self._remove(later, mount, answer),
            intent=True,
        )

    def _remove(self, call: Call, mount: Mount, answer: Response) -> Response:
        """Remove a mount whose leases are revoked, unless another request was faster."""
        house = call.use(House)
        now = house.mounts.table(house.store(call.tx, MOUNTS)).by_path.get(mount.path)
        if now is None or now.uuid != mount.uuid:
            return answer
        house.features.classes.forget(call.tx, mount.uuid, call.now_ns)
        house.mounts.remove(call.tx, house.store(call.tx, MOUNTS), mount.path, call.now_ns)
        house.demolition.raze(call.tx, mount.uuid, "", call.now_ns)
        # Those that were issued while the others were revoked.
        house.sweeps.later(call.tx, mount.path, call.now_ns)
        return answer

    def read_tune(self, call: Call, given: Path) -> Response:
        """Return the effective settings, durations in seconds."""
        mount = self.find(call, given.path)
        settings = call.use(House).settings
        longest = int(mount.config.get("max_lease_ttl") or settings.max_ttl_seconds)
        default = int(mount.config.get("default_lease_ttl") or settings.default_ttl_seconds)
        data = {
            **{name: mount.config[name] for name in _TUNABLE if name in mount.config},
            "default_lease_ttl": min(default, longest),
            "max_lease_ttl": longest,
            "force_no_cache": False,
            "description": mount.description,
        }
        if mount.options:
            data["options"] = dict(mount.options)
        if self._prefix:
            data.setdefault("token_type", "default-service")
        return Response(data=data)

    def tune(self, call: Call, given: Tune) -> Response:
        """Change settings."""
        house = call.use(House)
        mount = self.find(call, given.path)
        config = _config({**mount.config, **_tuned(mount.path, mount.type, _named(given))})
        description = mount.description if given.description is None else given.description
        if len(description) > MAX_DESCRIPTION:
            raise InvalidRequest(f"a description has at most {MAX_DESCRIPTION} characters")
        options = {**mount.options, **(given.options or {})}
        if options.get(SEGMENT) != mount.options.get(SEGMENT):
            raise InvalidRequest(
                "a mount cannot change its segment: mount another there, and copy its contents"
            )
        answer = Response()
        if _version(options) != _version(mount.options):
            # In the other version, the same API path is that of another secret to the rules.
            answer = unguard(call, mount, "given another version")
        elif mount.options.get(TOKEN_DEVICE) == REQUIRED != options.get(TOKEN_DEVICE):
            answer = admit_any_device(call, mount)
        if waits(answer):
            return answer
        changed = replace(
            mount, config=config, description=description, options=_options(mount.type, options)
        )
        if _version(options) != _version(mount.options):
            _upgrade(call, mount, changed)
        house.mounts.change(call.tx, house.store(call.tx, MOUNTS), changed, call.now_ns)
        return answer


def _first_config(path: str, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a new mount, parsed and checked like those of a tune."""
    return _config(_tuned(path, kind, _named(parse(Tune, {**given, "path": path}))))


def _named(given: Tune) -> dict[str, Any]:
    """Return the tunable settings that a request names."""
    return {name: value for name in _TUNABLE if (value := getattr(given, name)) is not None}


def _config(given: dict[str, Any]) -> dict[str, Any]:
    """Return a mount's settings, durations in seconds; ignore unknown names, as Vault does."""
    config: dict[str, Any] = {}
    for name in _TUNABLE:
        if given.get(name) is not None:
            value = given[name]
            config[name] = _length(value) if name in _SECONDS else value
            if isinstance(config[name], tuple):
                config[name] = list(config[name])
    longest = config.get("max_lease_ttl")
    if longest and config.get("default_lease_ttl", 0) > longest:
        raise InvalidRequest("given default lease TTL greater than system or mount max lease TTL")
    return config


def _length(value: Any) -> int:
    """Return a duration in seconds; "system" means the server's setting, stored as 0."""
    return 0 if value == _OF_SYSTEM else duration(value)


def _tuned(path: str, type_: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a tune changes; an empty duration leaves the mount's unchanged.

    Vault's CLI sends both durations with every tune, empty when they were not given. Raise
    InvalidRequest for a value that Vault does not know either.
    """
    if given.get("listing_visibility", "") not in _VISIBILITIES:
        raise InvalidRequest("invalid value for 'listing_visibility': it is hidden or unauth")
    kind = given.get("token_type")
    if kind is not None:
        if not path.startswith(AUTH):
            raise InvalidRequest("'token_type' can only be modified on auth mounts")
        if type_ == "token":
            raise InvalidRequest("'token_type' cannot be set for 'token' auth mounts")
        if kind not in _TOKEN_TYPES:
            raise InvalidRequest(f"invalid value for 'token_type': {kind[:32]!r}")
        given = {**given, "token_type": kind or "default-service"}
    return {name: value for name, value in given.items() if value != "" or name not in _SECONDS}


def _version(options: Mapping[str, str]) -> str:
    return options.get("version", "1")


def _upgrade(call: Call, before: Mount, after: Mount) -> None:
    """Let the mount's engine convert its records, which the other version cannot read."""
    plugin = call.use(House).plugins[before.type]
    if not isinstance(plugin, Upgrader):
        raise InvalidRequest(f"a mount of {before.type} has no versions")
    plugin.upgrade(call.use(House).mount_store(call.tx, before), before, after, call.now_ns)


def _options(kind: str, options: dict[str, str]) -> dict[str, str]:
    if kind == "kv" and options.get("version", "1") not in ("1", "2"):
        raise InvalidRequest("the version of a kv mount must be 1 or 2")
    return options


ENGINES: Final = Side("")
METHODS: Final = Side(AUTH)


def _side(name: str, side: Side, *, sudo: bool) -> tuple[Route, ...]:
    audited = ("path", "type")

    def route(op: Operation, pattern: str, handler: Handler, given: type, **flags: Any) -> Route:
        return Route(op, pattern, handler, given, sudo=sudo, folder="path", **flags)

    return (
        Route(Operation.READ, name, side.list, flat=True, help="All mounts."),
        route(Operation.READ, f"{name}/{{path...}}/tune", side.read_tune, Path, flat=True,
              help="The effective settings."),
        route(Operation.UPDATE, f"{name}/{{path...}}/tune", side.tune, Tune, audited=("path",),
              quorum=True, help="Change settings."),
        route(Operation.READ, f"{name}/{{path...}}", side.read, Path, flat=True, help="A mount."),
        route(Operation.UPDATE, f"{name}/{{path...}}", side.enable, Enable, audited=audited,
              quorum=True, makes=True, help="Mount."),
        route(Operation.DELETE, f"{name}/{{path...}}", side.disable, Path, audited=("path",),
              quorum=True, help="Unmount, and destroy the data."),
    )  # fmt: skip


ROUTES: Final = (
    *_side("mounts", ENGINES, sudo=False),
    *_side("auth", METHODS, sudo=True),
    # Vault's clients tune auth methods at these paths, for which Vault needs no sudo. The policies
    # on sys/auth/<path>/tune apply as well.
    Route(Operation.READ, "mounts/auth/{path...}/tune", METHODS.read_tune, Path, flat=True,
          folder="path", same_as="auth/{path...}/tune",
          help="The effective settings of an auth method."),
    Route(Operation.UPDATE, "mounts/auth/{path...}/tune", METHODS.tune, Tune, audited=("path",),
          quorum=True, folder="path", same_as="auth/{path...}/tune",
          help="Change settings of an auth method."),
)  # fmt: skip
