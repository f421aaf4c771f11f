"""The chain of scope: records of which secret opens which system, and other incident evidence.

    sys/scope : head                  -> number and chain hash of the last record
                places / chunk        -> the journal indexes of PLACES records, 8 bytes each
                at / number           -> the same of one record, in a database of before the chunks
                epoch                 -> the number of the last record in an older log
                edge / id             -> a link in force
                gate / id             -> a gate
                edges                 -> the number of links
                mount / uuid          -> the last recorded path of a mount
                addressed / id        -> the last recorded endpoints of a system

Records of scope (core/evidence/records) are written when something is configured, and not when a
case is opened, so they are in the log before it is known what they will be needed for. A record and
its place in the chain are in one batch, and are kept even if the request that caused them is
refused afterwards: a superfluous link is safe, a gap in the chain is not.

Only this module writes entries with the tag of evidence, and no route passes it an entry unchanged
from a request.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Final, TypeVar

import msgspec

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.event import Entry
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of, parse_node, secret_family
from ironkeep.core.evidence.reach import EdgeKind
from ironkeep.core.ids import MountUuid
from ironkeep.core.secret import Secret
from ironkeep.credentials.actor import NOBODY, Actor, actor_of
from ironkeep.credentials.baselines import Baseline
from ironkeep.credentials.connections import Connection
from ironkeep.credentials.store import CredentialId
from ironkeep.journal.journal import Receipt
from ironkeep.plugin.call import Call
from ironkeep.plugin.effects.effects import Turn
from ironkeep.plugin.mount import Mount
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

SCOPE: Final = "sys/scope"

MAX_TARGETS: Final = 200
"""Targets of one record: with names of maximum length they still fit into one journal entry."""

MAX_EDGES: Final = 100_000
"""Links in force, past which none is made by hand or by configuration; each is one row."""

CUSTOM: Final = {
    "ironkeep-opens": EdgeKind.OPENS,
    "ironkeep-wraps": EdgeKind.WRAPS,
    "ironkeep-part-of": EdgeKind.WRAPS,
}
"""Keys of a secret's custom metadata that name what it opens, wraps, or is a share of."""

PLACES: Final = 256
"""Records whose places in the journal share one row."""

_THINGS: Final = frozenset(
    {
        NodeKind.SECRET,
        NodeKind.PART,
        NodeKind.DOCUMENT,
        NodeKind.SYSTEM,
        NodeKind.STORE,
        NodeKind.PIPELINE,
        NodeKind.BACKUP,
    }
)

S = TypeVar("S", bound=ev.Scope)


_DIGITS: Final = 12
_SIZE: Final = 8
_ID: Final = 16


class ScopeHead(msgspec.Struct, frozen=True):
    """The last record of the chain."""

    seq: int
    chain: str


class Edge(msgspec.Struct, frozen=True, omit_defaults=True):
    """A link from source to one target; or, with `need`, a gate with its inputs."""

    source: str
    kind: str
    target: str
    basis: str
    from_ns: int
    need: int = 0
    known: tuple[str, ...] = ()
    live: tuple[str, ...] = ()


_HEAD: Final = Codec(ScopeHead)
_EDGE: Final = Codec(Edge)


class Scope:
    """Writes evidence, and stores the links and gates in force."""

    def __init__(
        self, stores: StoreOf, begin: Callable[[], Tx], append: Callable[[Entry], Receipt]
    ) -> None:
        self._stores: Final = stores
        self._begin: Final = begin
        self._append: Final = append

    def note(self, record: ev.Record, now_ns: int, by: Actor) -> int:
        """Journal a record of evidence that is not part of the chain; return its index."""
        return self._append(_entry(record, now_ns, by)).index

    def write(self, record: S, now_ns: int, by: Actor) -> S:
        """Journal a record of scope as the next of the chain; return it as written."""
        tx = self._begin()
        return self._write(tx, record, now_ns, by)

    def linked(
        self,
        source: NodeId,
        kind: EdgeKind,
        targets: Iterable[NodeId],
        basis: str,
        now_ns: int,
        by: Actor = NOBODY,
        from_ns: int = 0,
    ) -> None:
        """Record that source gives access to targets from from_ns on (0: always).

        Links that are already in force are skipped. Raise InvalidRequest past `MAX_EDGES`.
        """
        self._link(source, kind, targets, basis, now_ns, by, from_ns, MAX_EDGES)

    def spelled_out(
        self,
        source: NodeId,
        kind: EdgeKind,
        targets: Iterable[NodeId],
        basis: str,
        now_ns: int,
        from_ns: int,
    ) -> None:
        """Record links that follow from one to all versions of a secret, however many there are.

        A limit would let a writer of many versions stop every containment.
        """
        self._link(source, kind, targets, basis, now_ns, NOBODY, from_ns, None)

    def _link(
        self,
        source: NodeId,
        kind: EdgeKind,
        targets: Iterable[NodeId],
        basis: str,
        now_ns: int,
        by: Actor,
        from_ns: int,
        limit: int | None,
    ) -> None:
        tx = self._begin()
        store = self._stores(tx, SCOPE)
        edges = [Edge(source, kind, each, basis, from_ns) for each in dict.fromkeys(targets)]
        fresh = [edge for edge in edges if store.row(_path(edge)) is None]
        for start in range(0, len(fresh), MAX_TARGETS):
            some = fresh[start : start + MAX_TARGETS]
            self._count(tx, len(some), limit)
            for edge in some:
                store.put(_path(edge), _EDGE.encode(edge))
            names = tuple(edge.target for edge in some)
            self._write(
                tx, ev.Linked(*ev.UNPLACED, source, kind, names, from_ns, basis), now_ns, by
            )

    def unlinked(
        self, source: NodeId, kind: EdgeKind, targets: Iterable[NodeId], now_ns: int, by: Actor
    ) -> int:
        """Record that source no longer gives access to targets; return the count of ended links."""
        tx = self._begin()
        store = self._stores(tx, SCOPE)
        edges = [Edge(source, kind, each, "", 0) for each in dict.fromkeys(targets)]
        gone = [edge for edge in edges if store.row(_path(edge)) is not None]
        for start in range(0, len(gone), MAX_TARGETS):
            some = gone[start : start + MAX_TARGETS]
            self._count(tx, -len(some), None)
            for edge in some:
                store.delete(_path(edge))
            names = tuple(edge.target for edge in some)
            self._write(tx, ev.Unlinked(*ev.UNPLACED, source, kind, names), now_ns, by)
        return len(gone)

    def gated(self, gate: ev.Gated, now_ns: int, by: Actor) -> None:
        """Record a target that needs several inputs at once; raise InvalidRequest for a taken name.

        The record is validated here, because an invalid one would spoil every verdict.
        """
        _check_gate(gate)
        tx = self._begin()
        store = self._stores(tx, SCOPE)
        if store.row(f"gate/{_id(gate.gate)}") is not None:
            raise InvalidRequest(f"a gate {gate.gate!r} is on record: give this one another name")
        edge = Edge(
            gate.gate,
            gate.kind,
            gate.target,
            gate.basis,
            gate.from_ns,
            gate.need,
            gate.known,
            gate.live,
        )
        store.put(f"gate/{_id(gate.gate)}", _EDGE.encode(edge))
        self._write(tx, gate, now_ns, by)

    def edges(self, tx: Tx) -> Iterator[tuple[str, Edge]]:
        """Yield (id, edge) of every link in force and every gate, in no order."""
        store = self._stores(tx, SCOPE)
        for kind in ("edge", "gate"):
            for name in store.names_inside(kind):
                raw = store.get(f"{kind}/{name}")
                if raw is not None:
                    yield name, _EDGE.decode(raw)

    def edge(self, tx: Tx, name: str) -> Edge:
        """Return the link of that id; raise NotFound."""
        raw = self._stores(tx, SCOPE).get(f"edge/{name}")
        if raw is None:
            raise NotFound("there is no such link; a recorded gate cannot be removed")
        return _EDGE.decode(raw)

    def mounted(self, mount: Mount, now_ns: int, by: Actor = NOBODY) -> None:
        """Record the path of a mount, unless it is the last recorded one."""
        tx = self._begin()
        store = self._stores(tx, SCOPE)
        if store.get(f"mount/{mount.uuid}") != mount.path.encode():
            store.put(f"mount/{mount.uuid}", mount.path.encode())
            self._write(tx, ev.Mounted(*ev.UNPLACED, mount.uuid, mount.path), now_ns, by)

    def credential_linked(self, turn: Turn, which: CredentialId, system: NodeId) -> None:
        """Record that a credential opens the system that it was configured for."""
        source = secret_family(which.mount, which.path)
        by = Actor(request=turn.request)
        self.linked(source, EdgeKind.OPENS, (system,), "connector", turn.now_ns, by)

    def addressed(self, turn: Turn, connection: Connection) -> None:
        """Record the endpoints and poolers of a connection, unless they are on record as such."""
        nowhere = Secret(b"")
        record = ev.Addressed(
            *ev.UNPLACED,
            connection.system,
            tuple(each.endpoint for each in connection.everywhere(nowhere) if not each.pooler),
            tuple(each.endpoint for each in connection.everywhere(nowhere) if each.pooler),
            connection.poolers is not None,
        )
        tx = self._begin()
        store = self._stores(tx, SCOPE)
        path, raw = f"addressed/{_id(record.system)}", msgspec.json.encode(record)
        if store.get(path) != raw:
            store.put(path, raw)
            self._write(tx, record, turn.now_ns, Actor(request=turn.request))

    def baselined(self, turn: Turn, kept: Baseline) -> None:
        """Record a baseline."""
        record = ev.Baselined(*ev.UNPLACED, kept.system, kept.digest, kept.items, kept.gaps)
        self.write(record, turn.now_ns, Actor(request=turn.request))

    def custom(self, call: Call, path: str, metadata: dict[str, str] | None) -> None:
        """Record the links in a secret's custom metadata: what it opens, wraps or is part of.

        Each value is a comma-separated list of nodes, or of secrets of the same mount.
        """
        for key, kind in CUSTOM.items():
            names = [name.strip() for name in (metadata or {}).get(key, "").split(",")]
            targets = [_target(call.mount.uuid, name) for name in names if name]
            if targets:
                source = secret_family(call.mount.uuid, path)
                basis = f"custom metadata {key}"
                self.linked(source, kind, targets, basis, call.now_ns, actor_of(call))

    def indices(self, tx: Tx) -> list[int]:
        """Return the journal indices of the chain's records in this log, in order."""
        store = self._stores(tx, SCOPE)
        older = int.from_bytes(store.get("epoch") or b"", "big")
        raws = (store.get(f"at/{name}") for name in store.list("at") if int(name) > older)
        found = [int.from_bytes(raw, "big") for raw in raws if raw is not None]
        for name in store.list("places"):
            places = _unpacked(store.get(f"places/{name}") or b"")
            first = int(name) * PLACES + 1
            found += [at for seq, at in enumerate(places, first) if at and seq > older]
        return found

    def new_epoch(self, tx: Tx) -> None:
        """Record that all records so far are in an older log, so their indices do not apply here.

        The chain continues, so that the absence of the older records shows in each verdict.
        """
        store = self._stores(tx, SCOPE)
        raw = store.get("head")
        if raw is not None:
            store.put("epoch", _HEAD.decode(raw).seq.to_bytes(_SIZE, "big"))

    def _write(self, tx: Tx, record: S, now_ns: int, by: Actor) -> S:
        store = self._stores(tx, SCOPE)
        raw = store.get("head")
        head = ScopeHead(0, ev.CHAIN_START) if raw is None else _HEAD.decode(raw)
        written = ev.chained(record, head.seq + 1, head.chain)
        index = self._append(_entry(written, now_ns, by)).index
        store.put("head", _HEAD.encode(ScopeHead(written.seq, written.chain)))
        chunk, position = divmod(head.seq, PLACES)
        path = f"places/{chunk:0{_DIGITS}d}"
        before = (store.get(path) or b"").ljust(position * _SIZE, b"\0")
        store.put(path, before + index.to_bytes(_SIZE, "big"))
        # The entry cannot be withdrawn, so its rows are kept even if the request is refused.
        tx.merge()
        return written

    def _count(self, tx: Tx, more: int, limit: int | None) -> None:
        store = self._stores(tx, SCOPE)
        count = more + int.from_bytes(store.get("edges") or b"", "big")
        if limit is not None and count > limit:
            raise InvalidRequest(f"there are {limit} links already: remove some")
        store.put("edges", count.to_bytes(_SIZE, "big"))


def _target(mount: MountUuid, name: str) -> NodeId:
    """Return the node that a value in a secret's custom metadata names.

    People, sessions and devices are refused: a writer of metadata must not make them count as
    exposed.
    """
    if ":" in name:
        target = parse_node(name)
        if kind_of(target) not in _THINGS:
            raise InvalidRequest(f"custom metadata links to things, not to a {kind_of(target)}")
        return target
    return secret_family(mount, name.strip("/"))


def _check_gate(gate: ev.Gated) -> None:
    inputs = [*map(parse_node, gate.known), *map(parse_node, gate.live)]
    families = [each for each in (*inputs, parse_node(gate.target)) if each.endswith("@*")]
    if gate.kind not in {EdgeKind.OPENS, EdgeKind.DECRYPTS}:
        raise InvalidRequest("a gate opens or decrypts")
    if families:
        raise InvalidRequest("a gate is about single versions: write secret/path@version")
    if not 1 <= gate.need <= len(set(inputs)) or len(inputs) > MAX_TARGETS:
        raise InvalidRequest(f"a gate needs at least one of its inputs, {MAX_TARGETS} at most")


def _entry(record: ev.Record, now_ns: int, by: Actor) -> Entry:
    return Entry(
        kind="effect",
        time_ns=now_ns,
        op=str(record.__struct_config__.tag),
        entity=by.entity,
        accessor=by.accessor,
        device=by.device,
        name=by.name,
        remote=by.remote,
        request=by.request,
        audited=ev.to_audited(record),
    )


def _unpacked(places: bytes) -> Iterator[int]:
    """Yield the indexes in a chunk; 0 stands for a record that the chunk does not have.

    The first leaf of a log is no entry, so no record has the index 0.
    """
    return (int.from_bytes(places[at : at + _SIZE], "big") for at in range(0, len(places), _SIZE))


def _path(edge: Edge) -> str:
    return f"edge/{_id(edge.source, edge.kind, edge.target)}"


def _id(*parts: str) -> str:
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:_ID]
