"""Roles of auth methods: names, storage, listing, removal, and the history of what logins yield.

    <folder> / name -> the role

A method keeps the record type of its roles, their checks and its login; it hands their codec to
`Roles`, which does what is the same for all methods. The history keeps the token parameters of each
role or user over time, so that an investigation can tell what a login yielded at any moment.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final, Generic, Protocol, TypeVar, runtime_checkable

import msgspec

from ironkeep.core.errors import InvalidCredentials, InvalidRequest, NotFound
from ironkeep.core.text.spelling import folded
from ironkeep.identity.token_params import (
    LOGIN,
    LOGINS,
    TokenParams,
    TokenParamsInput,
    login_name,
)
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.cidr import admits
from ironkeep.plugin.effects.listings import list_folder
from ironkeep.plugin.response import Response
from ironkeep.store.barrier import Store
from ironkeep.store.history import History
from ironkeep.store.record import Codec
from ironkeep.store.reserved import escape_part, unescape_part

MAX_NAME: Final = 256

Record = TypeVar("Record", bound=msgspec.Struct)
Input = TypeVar("Input", bound=TokenParamsInput)


@runtime_checkable
class Admitting(Protocol):
    """An auth method that knows the roles or users by which the holder of an alias may log in.

    The history has what each of them yields, by its name (`token_params.LOGIN`).
    """

    def login_names(self, store: Store, alias: str) -> Iterable[str] | None:
        """Return the names by which alias may log in, or may have; None for possibly any name."""
        ...

    def excludes(self, store: Store, alias: str, name: str) -> bool:
        """Return whether the role or user `name`, as stored now, certainly refuses alias."""
        ...


@runtime_checkable
class Accepting(Protocol):
    """An auth method whose logins rest on a text, and which can tell whether it accepts one."""

    def accepted(
        self, call: Call, texts: Collection[bytes], names: Collection[str]
    ) -> Iterator[tuple[str, Callable[[], bool] | None]]:
        """Yield logins for which one of some texts may be good, in words, with the work that tells.

        None in place of the work means that it is. `call` is one at the mount. Of the people who
        log in with passwords only those in `names` are tried.
        """
        ...


class Roles(Generic[Record]):
    """The roles of one auth method, in the storage of its mounts.

    `param` names the role in the routes' patterns; `own` are the settings that the method defines
    beside the token parameters.
    """

    def __init__(self, folder: str, param: str, codec: Codec[Record], own: tuple[str, ...]) -> None:
        self._folder: Final = folder
        self._param: Final = param
        self._codec: Final = codec
        self.own: Final = own

    def name_of(self, call: Call) -> str:
        """Return the name of the role in the path; raise InvalidRequest."""
        return clean_name(call.params[self._param])

    def path(self, name: str) -> str:
        """Return where a role is stored."""
        return f"{self._folder}/{escape_part(name)}"

    def find(self, call: Call, name: str) -> Record | None:
        """Return the role of that name, or None."""
        raw = call.store.get(self.path(name))
        return None if raw is None else self._codec.decode(raw)

    def required(self, call: Call) -> tuple[str, Record]:
        """Return name and role in the path; raise NotFound without such a role."""
        name = self.name_of(call)
        role = self.find(call, name)
        if role is None:
            raise NotFound("")
        return name, role

    def exists(self, call: Call) -> bool:
        """Return whether the role in the path exists."""
        return self.find(call, self.name_of(call)) is not None

    def names(self, call: Call) -> list[str]:
        """Return the names of all roles, sorted."""
        return [unescape_part(name) for name in call.store.names(self._folder)]

    def list(self, call: Call) -> Response | Suspend:
        """List the names of all roles."""
        return list_folder(call, call.store, self._folder, name_of=unescape_part)

    def all_of(self, store: Store) -> Iterator[tuple[str, Record]]:
        """Yield name and role of all roles of a mount."""
        for name in store.names_inside(self._folder):
            raw = store.get(f"{self._folder}/{name}") or b""
            yield unescape_part(name), self._codec.decode(raw)

    def put(self, call: Call, name: str, role: Record) -> None:
        """Write a role."""
        call.store.put(self.path(name), self._codec.encode(role))

    def remove(self, call: Call, name: str) -> None:
        """Remove a role; absent is fine. Its tokens stay valid."""
        if self.find(call, name) is not None:
            call.store.delete(self.path(name))
            record_login(call, name, None)

    def delete(self, call: Call) -> Response:
        """Remove the role in the path; absent is fine. Its tokens stay valid."""
        self.remove(call, self.name_of(call))
        return Response()

    def given(self, given: TokenParamsInput) -> dict[str, Any]:
        """Return the method's own settings that a request gives."""
        return {name: value for name in self.own if (value := getattr(given, name)) is not None}

    def shown(self, role: Record) -> dict[str, Any]:
        """Return the method's own settings of a role, as they are read back."""
        return {name: getattr(role, name) for name in self.own}


def clean_name(name: str) -> str:
    """Return the one spelling of a role's name; raise InvalidRequest."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"a role's name has at most {MAX_NAME} printable characters")
    return folded(name)


def with_type(given: Input) -> Input:
    """Return a role's input with the empty token type, which Vault's clients send, as `default`."""
    return replace(given, token_type="default") if given.token_type == "" else given  # noqa: S106 - a kind


def check_address(call: Call, params: TokenParams) -> None:
    """Raise InvalidCredentials unless a role admits logins from the caller's address."""
    if not admits(params.token_bound_cidrs, call.request.remote):
        raise InvalidCredentials("the role does not accept logins from this address")


def record_login(call: Call, alias: str, params: TokenParams | None) -> None:
    """Record in the history what a login by a role or user yields from now on, None for nothing."""
    value = b"" if params is None else LOGINS.encode(params)
    call.use(History).record(call.tx, LOGIN, login_name(call.mount, alias), value, call.now_ns)
