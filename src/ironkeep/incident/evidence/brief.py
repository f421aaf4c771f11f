"""The brief of a case: what opening it and containing its principals need of the evidence.

The evidence on a case has tens of thousands of entries. The journal's process, which has read them
anyway, derives the case file and sends this instead, so that the server computes nothing of it
beside its loop.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.activity import Act
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.node import PRINCIPALS, NodeId, NodeKind, kind_of, name_of, node
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.entries import TOKEN_SECONDS

_RENEWALS: Final = "auth/token/renew"
_MAKES: Final = "auth/token/create"


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a principal stands: exposed or not, and contained or not.

    `out_ns` is the instant of a containment after which it did not act, or 0. `ended` are the
    accessors of its tokens that earlier containments ended.
    """

    label: str
    is_exposed: bool = False
    is_barred: bool = False
    out_ns: int = 0
    ended: tuple[str, ...] = ()


class Grant(NamedTuple):
    """The policies of a token or of a login during [from_ns, until_ns); until_ns 0: no end known.

    `person` is the entity whose policies come on top, and whose names fill in templates; "" for
    none.
    """

    policies: tuple[str, ...]
    person: str
    from_ns: int = 0
    until_ns: int = 0


class Trail(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one principal did: accessors of the tokens that it used or made, and their grants.

    `is_issued` is whether an entry shows what a token was issued with. Without one, `grants` has
    the policies that rules of its requests named.
    """

    tokens: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    is_issued: bool = False


class Brief(msgspec.Struct, frozen=True, omit_defaults=True):
    """A case in brief.

    `from_ns` is the earliest possible compromise. `subjects` have their labels. `standings` are
    those of all exposed principals, in the order of the exposure, and of the other subjects.
    `trails` are those of all these, and of every token that one of them used or made.
    """

    case: str
    from_ns: int
    subjects: dict[NodeId, str]
    standings: dict[NodeId, Standing]
    trails: dict[NodeId, Trail]

    @property
    def exposed(self) -> Iterator[NodeId]:
        """The exposed principals."""
        return (each for each, standing in self.standings.items() if standing.is_exposed)

    def is_barred(self, principal: NodeId) -> bool:
        """Return whether a principal is exposed and was not readmitted."""
        standing = self.standings.get(principal)
        return standing is not None and standing.is_barred

    def label(self, principal: NodeId) -> str:
        """Return a readable label for a principal; that of a group is its kind and name."""
        standing = self.standings.get(principal)
        return f"{kind_of(principal)} {name_of(principal)}" if standing is None else standing.label


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Brief)


def encode(brief: Brief) -> bytes:
    """Return a brief as MessagePack."""
    return _ENCODER.encode(brief)


def decode(answer: bytes) -> Brief:
    """Return the brief in an answer."""
    return _DECODER.decode(answer)


def is_barred(file: CaseFile, principal: NodeId) -> bool:
    """Return whether a principal is exposed in a case and was not readmitted."""
    return principal in file.rows and file.readmission(principal) is None


def brief_of(file: CaseFile) -> Brief:
    """Return the brief of a case file."""
    subjects = list(file.case.subjects)
    others = (each for each in subjects if kind_of(each) in PRINCIPALS)
    ended = _ended(file)
    standings = {
        each: _standing(file, each, ended.get(each, ()))
        for each in dict.fromkeys((*file.principals, *others))
    }
    return Brief(
        file.name,
        file.case.from_ns,
        {each: file.estate.label(each) for each in subjects},
        standings,
        _trails(file, standings),
    )


def _standing(file: CaseFile, principal: NodeId, ended: Iterable[str]) -> Standing:
    cut = file.containment(principal)
    return Standing(
        file.estate.label(principal),
        principal in file.rows,
        is_barred(file, principal),
        cut.entry.time_ns if cut is not None and file.escaped(principal) is None else 0,
        tuple(ended),
    )


def _ended(file: CaseFile) -> dict[str, dict[str, None]]:
    """Return the tokens that containments ended, by principal; a survey may be incomplete."""
    found: dict[str, dict[str, None]] = {}
    for filed in file.filed(ev.Contained):
        both = (*filed.record.sessions, *filed.record.gone)
        found.setdefault(filed.record.principal, {}).update(dict.fromkeys(both))
    return found


def _trails(file: CaseFile, standings: Mapping[NodeId, Standing]) -> dict[NodeId, Trail]:
    """Return the trails of principals, and of all tokens that follow from these."""
    found: dict[NodeId, Trail] = {}
    pending = list(standings)
    for standing in standings.values():
        pending += [node(NodeKind.SESSION, each) for each in standing.ended]
    while pending:
        actor = pending.pop()
        if actor not in found:
            found[actor] = trail = _trail(file, actor)
            pending += [node(NodeKind.SESSION, each) for each in trail.tokens]
    return found


def _trail(file: CaseFile, actor: NodeId) -> Trail:
    tokens = dict[str, None]()
    issued = [each for act in file.activity.issues_of(actor) for each in issued_by(act)]
    grants, named = dict.fromkeys(issued), dict[Grant, None]()
    for act in file.activity.by(actor):
        # A batch token has no accessor, so what issued it is an act of its maker alone.
        grants.update(dict.fromkeys(issued_by(act)))
        named.update(dict.fromkeys(_named(act)))
        tokens.update((each, None) for each in (act.entry.accessor, act.entry.issued) if each)
    if kind_of(actor) is NodeKind.SESSION and not issued:
        grants |= named
    return Trail(tuple(tokens), tuple(grants), bool(issued))


def _named(act: Act) -> Iterable[Grant]:
    """Yield the policy named in the rule that decided a request, with any holder."""
    rule = act.entry.rule.partition(" ")[0].partition(":")[0]
    if rule:
        yield from (Grant((rule,), act.entry.entity), Grant((rule,), ""))


def issued_by(act: Act) -> Iterable[Grant]:
    """Yield what a token got that an act issued or renewed.

    A token that another one made may be an orphan, which is not of its maker's person.
    """
    policies, seconds = (act.entry.audited.get(each) for each in ("token_policies", TOKEN_SECONDS))
    # Requests that write users and roles have a field of that name too.
    is_issue = bool(act.entry.issued) or seconds or act.entry.path.startswith(_MAKES)
    if not isinstance(policies, list) or not is_issue:
        return
    until_ns = 0
    if isinstance(seconds, int) and seconds:
        until_ns = act.entry.time_ns + seconds * SECOND_NS
    # A renewal states no time of issue: the token may have had its policies long before.
    from_ns = 0 if act.entry.path.startswith(_RENEWALS) else act.entry.time_ns
    people = {act.entry.entity, ""} if act.entry.accessor else {act.entry.entity}
    for person in sorted(people):
        yield Grant(tuple(map(str, policies)), person, from_ns, until_ns)
