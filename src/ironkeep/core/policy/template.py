"""Identity templates in the paths of a policy: `secret/{{identity.entity.id}}/*`.

Spec: Vault, "Templated policies"; the refusal of wildcards in values: OpenBao GHSA-59w7. Values
come from people and identity providers, so a value must never add a segment, a glob or a wildcard
to a path. Selectors:

    identity.entity.{id,name,metadata.KEY}
    identity.entity.aliases.ACCESSOR.{id,name,metadata.KEY,custom_metadata.KEY}
    identity.groups.ids.ID.{id,name,metadata.KEY}
    identity.groups.names.NAME.{id,name,metadata.KEY}
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ironkeep.core.errors import InvalidRequest, PermissionDenied

_SELECTOR: Final = re.compile(
    r"identity\.(?:entity\.(?:aliases\.(?P<accessor>[^.]+)\.)?"
    r"|groups\.(?P<group_by>ids|names)\.(?P<group>[^.]+)\.)"
    r"(?P<field>id|name|metadata|custom_metadata)(?:\.(?P<key>.+))?",
    re.DOTALL,
)
_FORBIDDEN_IN_VALUES: Final = frozenset("*+/")


@dataclass(frozen=True, slots=True)
class Subject:
    """The fields of an entity, an alias or a group that templates can select."""

    id: str
    name: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    custom_metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TemplateContext:
    """The identity of a token: its entity, the entity's aliases by mount accessor, its groups."""

    entity: Subject | None = None
    aliases: Mapping[str, Subject] = field(default_factory=dict)
    groups: tuple[Subject, ...] = ()


@dataclass(frozen=True, slots=True)
class Selector:
    """One `{{…}}`: a subject and one of its fields."""

    text: str
    field: str
    key: str | None
    accessor: str | None
    group_by: str | None
    group: str | None


@dataclass(frozen=True, slots=True)
class Template:
    """A path as literal texts and selectors, in order."""

    parts: tuple[str | Selector, ...]

    @property
    def is_literal(self) -> bool:
        """Return whether there is no selector."""
        return all(isinstance(part, str) for part in self.parts)

    def render(self, context: TemplateContext) -> str | None:
        """Return the text for context, or None if a value is missing or empty.

        Raises PermissionDenied if a value contains `*`, `+` or `/`. If the path were dropped
        instead, the author of the value could disable a `deny`, or a narrow rule that overrides a
        broad one.
        """
        texts: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            value = _value(part, context)
            if not value:
                return None
            if not _FORBIDDEN_IN_VALUES.isdisjoint(value):
                raise PermissionDenied(
                    f"the value of {{{{{part.text}}}}} holds one of * + / and cannot stand in a"
                    " policy path: have it changed, or the policy"
                )
            texts.append(value)
        return "".join(texts)


def parse_template(text: str) -> Template:
    """Return text split at its `{{…}}`.

    Raises InvalidRequest for unbalanced braces and unknown selectors.
    """
    head, *rest = text.split("{{")
    if "}}" in head:
        raise InvalidRequest("unbalanced templating braces")
    parts: list[str | Selector] = [head]
    for piece in rest:
        inside, *after = piece.split("}}")
        if len(after) != 1:
            raise InvalidRequest("unbalanced templating braces")
        parts += [_selector(inside.strip()), after[0]]
    return Template(tuple(part for part in parts if part != "") or ("",))


def _selector(text: str) -> Selector:
    found = _SELECTOR.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"unknown template {{{{{text[:100]}}}}}")
    needs_key = found["field"] in {"metadata", "custom_metadata"}
    if needs_key != (found["key"] is not None):
        raise InvalidRequest(f"the template {{{{{text[:100]}}}}} must name one value")
    if found["field"] == "custom_metadata" and found["accessor"] is None:
        raise InvalidRequest("only aliases have custom_metadata")
    return Selector(
        text, found["field"], found["key"], found["accessor"], found["group_by"], found["group"]
    )


def _subject(selector: Selector, context: TemplateContext) -> Subject | None:
    if selector.accessor is not None:
        return context.aliases.get(selector.accessor)
    if selector.group_by is None:
        return context.entity
    for group in context.groups:
        if selector.group == (group.id if selector.group_by == "ids" else group.name):
            return group
    return None


def _value(selector: Selector, context: TemplateContext) -> str | None:
    subject = _subject(selector, context)
    if subject is None:
        return None
    if selector.key is None:
        return subject.id if selector.field == "id" else subject.name
    if selector.field == "metadata":
        return subject.metadata.get(selector.key)
    return subject.custom_metadata.get(selector.key)
