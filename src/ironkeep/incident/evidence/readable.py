"""The question which paths some rulings allow to be read; answered off the loop.

    asked      texts     [text, …] of policies
               rulings   [[own, extra, templates], …]  own and extra: [[name, number of text], …]
               paths     [API path, …]
    answered   masks     [bytes, …]          distinct sets of rulings: bit n stands for ruling n
               which     [number of mask, …] of each path

A ruling is one set of policies with one holder: `own` are those of a token, `extra` those of its
person, which every token of the person has. A holder who may make tokens could make one with fewer
policies, and a deny in a policy that is left out denies nothing; so each policy of such a holder is
also tried on its own.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.operation import Operation
from ironkeep.core.policy.acl import Acl, compile_acl
from ironkeep.core.policy.builtin import ROOT_POLICY_NAME
from ironkeep.core.policy.policy import ROOT_POLICY, Policy, parse_policy
from ironkeep.core.policy.template import Subject, TemplateContext
from ironkeep.journal.questions import Context, Steps

IN_A_STEP: Final = 4_096
"""Decisions in one step: some ten milliseconds."""
COMPILED: Final = 512
"""Rulings kept compiled: a survey asks of thousands of paths at a time, with the same rulings."""

_MAKES_TOKENS: Final = ("auth/token/create", "auth/token/create-orphan")

Said = tuple[tuple[str, str], ...]
"""Names and texts of policies."""


class Holder(msgspec.Struct, frozen=True, array_like=True):
    """The values of templates: id, name and metadata of a person, and the same by mount."""

    id: str = ""
    name: str = ""
    metadata: dict[str, str] = {}
    aliases: dict[str, tuple[str, str, dict[str, str]]] = {}

    @classmethod
    def of(cls, templates: TemplateContext) -> "Holder":
        """Return the holder that some templates describe."""
        subject = templates.entity or Subject("", "", {})
        aliases = {
            mount: (each.id, each.name, dict(each.metadata))
            for mount, each in templates.aliases.items()
        }
        return cls(subject.id, subject.name, dict(subject.metadata), aliases)

    @property
    def templates(self) -> TemplateContext:
        """The same as policies take it."""
        if not self.id:
            return TemplateContext()
        aliases = {mount: Subject(*each) for mount, each in self.aliases.items()}
        return TemplateContext(Subject(self.id, self.name, self.metadata), aliases)


class Ruling(msgspec.Struct, frozen=True, array_like=True):
    """Names of policies with the numbers of their texts; see the module."""

    own: tuple[tuple[str, int], ...]
    extra: tuple[tuple[str, int], ...]
    holder: Holder


class About(msgspec.Struct, frozen=True):
    """The question."""

    texts: tuple[str, ...]
    rulings: tuple[Ruling, ...]
    paths: tuple[str, ...]


def readable(_context: Context, about: Mapping[str, Any]) -> Steps:
    """Return {masks, which}; see the module."""
    given = msgspec.convert(about, About)
    found = [0] * len(given.paths)
    decided = 0
    for number, ruling in enumerate(given.rulings):
        acls = _acls(
            _said(given.texts, ruling.own),
            _said(given.texts, ruling.extra),
            msgspec.msgpack.encode(ruling.holder),
        )
        yield
        bit = 1 << number
        for at, path in enumerate(given.paths):
            if any(allows(acl, path) for acl in acls):
                found[at] |= bit
            decided += len(acls)
            if decided >= IN_A_STEP:
                decided = 0
                yield
    masks = {mask: at for at, mask in enumerate(dict.fromkeys(found))}
    size = (len(given.rulings) + 7) // 8
    return {
        "masks": [mask.to_bytes(size, "little") for mask in masks],
        "which": [masks[mask] for mask in found],
    }


def allows(acl: Acl, path: str, operation: Operation = Operation.READ) -> bool:
    """Return whether an ACL allows an operation, at least with some fields or wrapping."""
    decision = acl.decide(path, operation)
    return decision.allowed or decision.depends_on_data


def _said(texts: tuple[str, ...], names: tuple[tuple[str, int], ...]) -> Said:
    return tuple((name, texts[number]) for name, number in names)


@lru_cache(maxsize=COMPILED)
def _acls(own: Said, extra: Said, holder: bytes) -> tuple[Acl, ...]:
    """Return the ACL of a holder, and those of the tokens with fewer policies that they can make.

    A path that any choice of policies allows is allowed by one of them alone.
    """
    templates = msgspec.msgpack.decode(holder, type=Holder).templates
    if any(name == ROOT_POLICY_NAME for name, _ in (*own, *extra)):
        return (compile_acl([ROOT_POLICY], TemplateContext()),)
    whole = _compiled((*own, *extra), templates)
    if whole is None:
        return ()
    if not any(allows(whole, path, Operation.UPDATE) for path in _MAKES_TOKENS):
        return (whole,)
    parts = (_compiled((each, *extra), templates) for each in own)
    return (whole, *(each for each in parts if each is not None))


def _compiled(said: Said, templates: TemplateContext) -> Acl | None:
    """Return an ACL; None if a template's value is not allowed in a path: it refuses everything."""
    try:
        return compile_acl([_parsed(name, text) for name, text in dict(said).items()], templates)
    except (InvalidRequest, PermissionDenied):
        return None


@lru_cache(maxsize=COMPILED)
def _parsed(name: str, text: str) -> Policy:
    return parse_policy(name, text)
