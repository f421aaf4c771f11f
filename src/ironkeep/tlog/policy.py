"""Trust policies (c2sp.org/tlog-policy): the trusted logs, the witnesses, and the quorum.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>...
    quorum <name>|none

A policy keeps its text byte for byte. It is stricter than the specification in one point: the whole
text must be UTF-8.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.tlog.cosignature import CosignatureVerifier
from ironkeep.tlog.note import NoteVerifier, Signature, VerifierKey
from ironkeep.tlog.wire import decode_decimal, decode_text

MAX_POLICY: Final = 1 << 16
"""Bytes of a policy: enough for 64 lines of each kind at some 300 bytes."""

MAX_DEFINITIONS: Final = 64
"""Logs, witnesses or groups in a policy: twice the 32 that the specification recommends."""

_NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class KnownLog:
    """A log whose checkpoints are accepted; its origin is the name of its key."""

    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True)
class KnownWitness:
    """A witness with the policy's own name for it."""

    name: str
    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses or groups, at least `threshold` of which must have cosigned."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy; `quorum` is None if no cosignature is required."""

    text: bytes
    logs: tuple[KnownLog, ...]
    witnesses: tuple[KnownWitness, ...]
    groups: tuple[Group, ...]
    quorum: str | None

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Return the policy in text; raise InvalidRequest with the line's number."""
        try:
            # Tabs count as spaces; beside LF they are the only control character allowed.
            lines = decode_text(text.replace(b"\t", b" "), MAX_POLICY).split("\n")
        except IntegrityError as error:
            raise InvalidRequest(f"policy: {error}") from None
        if lines.pop():
            # A truncated line could be valid: "quorum none" from "quorum none-of-them".
            raise InvalidRequest("policy: the last line does not end in a newline")
        draft = _Draft()
        for number, line in enumerate(lines, start=1):
            words = [word for word in line.split(" ") if word]
            if words and not words[0].startswith("#"):
                try:
                    draft.add(words)
                except (InvalidRequest, IntegrityError) as error:
                    raise InvalidRequest(f"policy line {number}: {error}") from None
        if not draft.quorum:
            raise InvalidRequest("policy: exactly one quorum line is needed")
        quorum = None if draft.quorum == _NONE else draft.quorum
        witnesses = tuple(draft.witnesses)
        return cls(text, tuple(draft.logs), witnesses, tuple(draft.groups), quorum)

    def log_verifiers(self) -> tuple[NoteVerifier, ...]:
        """Return verifiers for all logs."""
        return tuple(NoteVerifier(log.key) for log in self.logs)

    def witness_verifiers(self) -> tuple[CosignatureVerifier, ...]:
        """Return verifiers for all witnesses."""
        return tuple(CosignatureVerifier(witness.key) for witness in self.witnesses)

    def witness_names(self, signatures: Iterable[Signature]) -> dict[str, list[Signature]]:
        """Return verified cosignatures by the policy's name of the witness, omitting others."""
        names = {(one.key.name, one.key.key_id): one.name for one in self.witnesses}
        found: dict[str, list[Signature]] = {}
        for signature in signatures:
            name = names.get((signature.name, signature.key_id))
            if name is not None:
                found.setdefault(name, []).append(signature)
        return found

    def check(self, cosigners: Collection[str]) -> None:
        """Raise IntegrityError unless these witnesses, by the policy's names, are a quorum."""
        if self.quorum is None:
            return
        witnessed = {witness.name for witness in self.witnesses} & set(cosigners)
        # Groups have only members defined before them, so one pass in order is enough.
        for group in self.groups:
            if len(witnessed.intersection(group.members)) >= group.threshold:
                witnessed.add(group.name)
        if self.quorum not in witnessed:
            raise IntegrityError(f"the quorum {self.quorum} of the policy has not cosigned")


@dataclass(slots=True)
class _Draft:
    """The lines of a policy read so far."""

    logs: list[KnownLog] = field(default_factory=list)
    witnesses: list[KnownWitness] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    quorum: str = ""
    defined: set[str] = field(default_factory=set)
    grouped: set[str] = field(default_factory=set)

    def add(self, words: list[str]) -> None:
        """Add one line, split into words."""
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                self._add_log(vkey, url)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._add_witness(name, vkey, url)
            case ["group", name, threshold, *members] if members:
                self._add_group(name, threshold, members)
            case ["quorum", name]:
                self._set_quorum(name)
            case _:
                raise InvalidRequest("not a log, witness, group or quorum line")

    def _add_log(self, vkey: str, url: list[str]) -> None:
        log = KnownLog(NoteVerifier(VerifierKey.parse(vkey)).key, url[0] if url else None)
        _require_room(self.logs)
        if any(log.key.public == other.key.public for other in self.logs):
            raise InvalidRequest("this log key is listed already")
        self.logs.append(log)

    def _add_witness(self, name: str, vkey: str, url: list[str]) -> None:
        key = CosignatureVerifier(VerifierKey.parse(vkey)).key
        _require_room(self.witnesses)
        # A key under two names would count twice.
        if any(key.public == other.key.public for other in self.witnesses):
            raise InvalidRequest("this witness key is listed already")
        self._define(name)
        self.witnesses.append(KnownWitness(name, key, url[0] if url else None))

    def _add_group(self, name: str, threshold: str, members: list[str]) -> None:
        _require_room(self.groups)
        for member in members:
            self._require_defined(member)
            if member in self.grouped:
                raise InvalidRequest(f"{member} is in a group already")
            self.grouped.add(member)
        fixed = {"all": len(members), "any": 1}
        needed = fixed[threshold] if threshold in fixed else decode_decimal(threshold)
        if not 1 <= needed <= len(members):
            raise InvalidRequest(f"the threshold {needed} is not between 1 and {len(members)}")
        self._define(name)
        self.groups.append(Group(name, needed, tuple(members)))

    def _set_quorum(self, name: str) -> None:
        if self.quorum:
            raise InvalidRequest("exactly one quorum line is needed")
        if name != _NONE:
            self._require_defined(name)
        self.quorum = name

    def _define(self, name: str) -> None:
        if name == _NONE or name in self.defined:
            raise InvalidRequest(f"the name {name} is taken")
        self.defined.add(name)

    def _require_defined(self, name: str) -> None:
        if name not in self.defined:
            raise InvalidRequest(f"the name {name} is not defined above")


def _require_room(definitions: Collection[object]) -> None:
    """Raise InvalidRequest if there are already MAX_DEFINITIONS of this kind."""
    if len(definitions) >= MAX_DEFINITIONS:
        raise InvalidRequest(f"at most {MAX_DEFINITIONS} lines of one kind are allowed")
