"""What a stranger's bytes, and those of other systems, cost: time and memory in proportion.

`parsers.py` declares the parsers of bytes; here each is fed, and the source is searched for those
that are not declared. Every route that is open or a login is fed too, field by field.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import fields as fields_of, replace
from pathlib import Path
from typing import Any, Final

import pytest

import ironkeep
from ironkeep.app import PLUGINS
from ironkeep.core.operation import Operation
from ironkeep.engines.system.mounts import AUTH_TYPES
from ironkeep.kernel.routing import SYS
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import TABLE
from ironkeep.plugin.route import Route
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.vault import Vault
from tests.meter import meter, parsers
from tests.meter.meter import Dear, Parser

SOURCE: Final = Path(ironkeep.__file__).parent
AT_THE_EDGE: Final = (
    "api", "tlog", "auth", "access", "agent", "connectors/postgresql", "adapters",
    "cli/client/loopback.py", "core/webauthn/webauthn.py", "core/device/proof.py",
    "core/device/posture_report.py", "core/device/kev.py", "core/device/software_version.py",
    "core/webauthn/cbor_bounds.py", "plugin/cidr.py", "plugin/peer.py", "plugin/fields.py",
    "seal/shares.py", "identity/batch_token.py", "journal/epochs.py",
)  # fmt: skip
"""Where bytes from outside are taken apart."""
PARSING: Final = re.compile(
    r"(parse|parsed|decode|split|header_of|keys_of|signed_of|open_note|open_token|open_checkpoint"
    r"|require_few|translate|requested_key|device_key|columns|cells|parameter|authentication"
    r"|mechanisms|sqlstate|feed|duration|is_host|is_loopback|code_in|from_headers"
    r"|verify_assertion|verify_registration|read_leaf|read_size|read_cosignature)(_\w+)?"
)
"""Names of functions that take bytes or text apart. A new one is given such a name."""
RAW: Final = frozenset({"bytes", "str", "object", "bytes | bytearray"})

ELSEWHERE: Final = {
    "api.witness.mirror:Session.feed": "Upload.split and split_package take it apart",
    "core.webauthn.cbor_bounds:require_few": "by verify_registration",
    "access.segments.flow_table:decode": "a record of the vault's own",
    "tlog.checkpoint:open_checkpoint": "Note.parse and Checkpoint.parse take it apart",
    "tlog.note:open_note": "Note.parse takes it apart",
    "tlog.note:VerifierKey.parse": "keys of one's own configuration",
    "tlog.policy:Policy.parse": "one's own file",
    "api.listening:is_loopback": "addresses of one's own configuration",
    "auth.cert.chain:parse_authorities": "what an administrator configures",
}
"""Functions that are named like parsers and are not in the table: why."""

RAW_FIELDS: Final = {
    "osquery/enroll": ("enroll_secret", "host_identifier"),
    "osquery/config": ("node_key",),
    "osquery/logger": ("node_key", "log_type", "data"),
    "osquery/distributed_read": ("node_key",),
    "osquery/distributed_write": ("node_key", "queries", "statuses"),
}
"""What the open routes read that declare no input."""
PARAMETER: Final = re.compile(r"\{\w+(\.\.\.)?\}")
LONG_PATH: Final = 4_000


@pytest.mark.parametrize("parser", parsers.PARSERS, ids=lambda each: each.name)
def test_it_costs_no_more_than_its_bytes(parser: Parser) -> None:
    meter.require(parser)


@pytest.mark.slow
@pytest.mark.parametrize(
    "parser",
    [each for each in parsers.PARSERS if each.most == meter.MOST],
    ids=lambda one: one.name,
)
def test_nor_does_it_at_four_times_the_size(parser: Parser) -> None:
    meter.require(replace(parser, most=4 * meter.MOST))


def found() -> Iterator[str]:
    """Yield every function at the edge that is named like a parser and takes bytes or text."""
    for place in AT_THE_EDGE:
        path = SOURCE / place
        for file in sorted(path.rglob("*.py") if path.is_dir() else [path]):
            module = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
            module = module.removesuffix(".__init__")
            for node in ast.parse(file.read_text()).body:
                inside = node.body if isinstance(node, ast.ClassDef) else [node]
                for each in inside:
                    if isinstance(each, ast.FunctionDef) and _takes_bytes(each):
                        front = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
                        yield f"{module}:{front}{each.name}"


def _takes_bytes(function: ast.FunctionDef) -> bool:
    if PARSING.fullmatch(function.name) is None:
        return False
    given = [each for each in function.args.args if each.arg not in ("self", "cls")]
    return any(each.annotation and ast.unparse(each.annotation) in RAW for each in given)


def test_no_parser_is_missing() -> None:
    declared = {parser.name for parser in parsers.PARSERS}
    assert set(found()) - declared - set(ELSEWHERE) == set()


def test_every_reason_is_of_one_that_is_there() -> None:
    assert set(ELSEWHERE) - set(found()) == set()


@pytest.fixture(scope="module")
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    for kind in AUTH_TYPES:
        if kind != "token":
            assert vault.write(f"sys/auth/{kind}", {"type": kind}).error is None
    vault.write("auth/userpass/users/x", {"password": "p"})
    vault.write("auth/passkey/config", {"rp_id": "localhost", "origins": ["http://localhost"]})
    vault.write("auth/passkey/users/x", {})
    return vault


def open_routes(vault: Vault) -> Iterator[tuple[Mount, Route]]:
    store = vault.house.store(vault.house.state.begin(), MOUNTS)
    assert store.get(TABLE) is not None
    mounts = vault.house.mounts.table(store).by_path.values()
    for mount in [SYS, *(mount for mount in mounts if mount.type != "system")]:
        for route in vault.plugins[mount.type].routes(mount):
            if route.open or route.login:
                yield mount, route


def names_of(route: Route) -> tuple[str, ...]:
    if route.input is not None:
        return tuple(each.name for each in fields_of(route.input))
    return RAW_FIELDS.get(route.pattern, ())


def asking(
    vault: Vault, mount: Mount, route: Route, make: Callable[[str], Any], name: str
) -> Callable[[bytes], object]:
    """Return what sends one request without a token, a field of which is made of its bytes."""
    path = mount.path + PARAMETER.sub("x", route.pattern)

    def run(raw: bytes) -> object:
        data = {name: make(raw.decode("utf-8", "replace"))}
        return vault.pipeline.handle(vault.asked(route.op, path, data, None))

    return run


def nested(text: str) -> object:
    value: object = text
    for _ in range(60):
        value = {"a": [value]}
    return value


SHAPES: Final[tuple[Callable[[str], Any], ...]] = (
    lambda text: text,
    lambda text: [text[at : at + 16] for at in range(0, len(text), 16)],
    lambda text: {
        text[at : at + 16] + str(at): text[at : at + 16] for at in range(0, len(text), 16)
    },
    nested,
)


def test_no_open_route_costs_more_than_its_bytes(vault: Vault) -> None:
    seen = set()
    for mount, route in open_routes(vault):
        if (mount.type, route.op, route.pattern) in seen:
            continue
        seen.add((mount.type, route.op, route.pattern))
        where = f"{route.op} {mount.path}{route.pattern}"
        for name in names_of(route):
            for number, shape in enumerate(SHAPES):
                parser = Parser(f"{where} {name}", asking(vault, mount, route, shape, name))
                for make in meter.inputs(parser, meter.UNITS if not number else (b"a", b"1", b",")):
                    meter.require_time(parser, make)
    assert len(seen) > 30  # the table of routes was read
    assert vault.defects == []


def test_no_path_costs_more_than_its_bytes(vault: Vault) -> None:
    for op in Operation:

        def run(raw: bytes, op: Operation = op) -> object:
            path = raw.decode("utf-8", "replace")
            return vault.pipeline.handle(vault.asked(op, path, {}, None))

        templates = (
            b"@",
            b"sys/audit/log/tile/@",
            b"auth/userpass/login/@",
            b"auth/@",
            b"secret/data/@",
        )
        parser = Parser(f"{op} of a path", run, templates, LONG_PATH)
        for make in meter.inputs(parser):
            meter.require_time(parser, make)
    assert vault.defects == []


def test_every_open_route_without_a_declared_input_is_known(vault: Vault) -> None:
    bodies = (Operation.UPDATE, Operation.CREATE, Operation.PATCH)
    bare = {r.pattern for _, r in open_routes(vault) if r.input is None and r.op in bodies}
    assert bare <= set(RAW_FIELDS)


class TestTheMeter:
    """It finds what it is for."""

    @pytest.mark.parametrize(
        ("run", "most"),
        [
            (lambda raw: re.search(rb"a+:$", raw), 8_192),
            (lambda raw: [raw[at:] for at in range(0, len(raw), 16)], meter.MOST),
            (lambda raw: sum(raw[at:].count(b",") for at in range(0, len(raw), 16)), meter.MOST),
        ],
        ids=["backtracking", "copies", "counts"],
    )
    def test_squares(self, run: Callable[[bytes], object], most: int) -> None:
        with pytest.raises(Dear):
            meter.require(Parser("x", run, most=most))

    def test_memory(self) -> None:
        with pytest.raises(Dear, match="of memory"):
            meter.require(Parser("x", lambda raw: bytes(len(raw) * 1_000)))

    def test_a_defect(self) -> None:
        with pytest.raises(IndexError):
            meter.require(Parser("x", lambda raw: raw[len(raw)]))

    def test_what_is_linear_passes(self) -> None:
        meter.require(Parser("x", lambda raw: (raw.upper(), raw.split(b","))))
