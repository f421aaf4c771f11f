"""Templates in policy paths: every selector, and values that must not widen a path."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.policy.template import Subject, TemplateContext, parse_template

ALICE = TemplateContext(
    entity=Subject("e-1", "alice", {"team": "red", "a.b": "dotted", "empty": ""}),
    aliases={
        "auth_userpass_1": Subject("a-1", "alice@corp", {"m": "alias-meta"}, {"c": "custom"}),
    },
    groups=(
        Subject("g-1", "ops", {"room": "12"}),
        Subject("g-2", "dev", {}),
    ),
)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("", ""),
        ("secret/*", "secret/*"),
        ("{{identity.entity.id}}", "e-1"),
        ("x/{{ identity.entity.name }}/*", "x/alice/*"),
        ("x/{{identity.entity.metadata.team}}", "x/red"),
        ("x/{{identity.entity.metadata.a.b}}", "x/dotted"),
        ("x/{{identity.entity.aliases.auth_userpass_1.id}}", "x/a-1"),
        ("x/{{identity.entity.aliases.auth_userpass_1.name}}", "x/alice@corp"),
        ("x/{{identity.entity.aliases.auth_userpass_1.metadata.m}}", "x/alias-meta"),
        ("x/{{identity.entity.aliases.auth_userpass_1.custom_metadata.c}}", "x/custom"),
        ("x/{{identity.groups.ids.g-1.name}}", "x/ops"),
        ("x/{{identity.groups.ids.g-1.metadata.room}}", "x/12"),
        ("x/{{identity.groups.names.dev.id}}", "x/g-2"),
        ("x/{{identity.groups.names.ops.metadata.room}}", "x/12"),
        ("{{identity.entity.id}}{{identity.entity.name}}/+", "e-1alice/+"),
    ],
)
def test_selectors(text: str, rendered: str) -> None:
    assert parse_template(text).render(ALICE) == rendered


@pytest.mark.parametrize(
    "text",
    [
        "{{identity.entity.metadata.nothing}}",
        "{{identity.entity.metadata.empty}}",
        "{{identity.entity.aliases.auth_other_1.id}}",
        "{{identity.entity.aliases.auth_userpass_1.metadata.nothing}}",
        "{{identity.entity.aliases.auth_userpass_1.custom_metadata.nothing}}",
        "{{identity.groups.ids.g-3.name}}",
        "{{identity.groups.ids.ops.name}}",
        "{{identity.groups.names.g-1.id}}",
        "{{identity.groups.names.dev.metadata.room}}",
        "{{identity.entity.id}}/{{identity.entity.metadata.nothing}}",
    ],
)
def test_a_missing_or_empty_value_leaves_no_path(text: str) -> None:
    assert parse_template(text).render(ALICE) is None


def test_nobody_has_no_values() -> None:
    for text in ("{{identity.entity.id}}", "{{identity.groups.names.dev.id}}"):
        assert parse_template(text).render(TemplateContext()) is None


@pytest.mark.parametrize("value", ["*", "+", "/", "canary*", "+canary", "ca/nary", "../canary"])
@pytest.mark.parametrize("selector", ["identity.entity.name", "identity.entity.metadata.k"])
def test_a_value_that_could_widen_the_path_is_refused(value: str, selector: str) -> None:
    context = TemplateContext(entity=Subject("e", value, {"k": value}))
    with pytest.raises(PermissionDenied) as caught:
        parse_template(f"s/{{{{{selector}}}}}/x").render(context)
    assert selector in str(caught.value)
    assert "nary" not in str(caught.value)


def test_braces_in_a_value_are_not_expanded_again() -> None:
    context = TemplateContext(entity=Subject("{{identity.entity.name}}", "n"))
    text = "s/{{identity.entity.id}}"
    assert parse_template(text).render(context) == "s/{{identity.entity.name}}"


@pytest.mark.parametrize(
    "text",
    [
        "{{", "}}", "a{{b", "a}}b", "}}{{", "{{identity.entity.id", "identity.entity.id}}",
        "{{{{identity.entity.id}}}}", "{{identity.entity.id}}}}",
        "{{}}", "{{ }}", "{{identity}}", "{{identity.entity}}", "{{identity.entity.}}",
        "{{identity.entity.other}}", "{{identity.entity.id.x}}", "{{identity.entity.metadata}}",
        "{{identity.entity.metadata.}}", "{{identity.entity.custom_metadata.k}}",
        "{{identity.entity.groups.names}}", "{{identity.entity.aliases.a}}",
        "{{identity.entity.aliases..id}}", "{{identity.groups.names.id}}",
        "{{identity.groups.others.x.id}}", "{{identity.groups.ids.x.custom_metadata.k}}",
        "{{time.now}}", "{{IDENTITY.entity.id}}",
    ],
)  # fmt: skip
def test_unbalanced_and_unknown_templates_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"templat|custom_metadata"):
        parse_template(text)


def test_literals_know_that_they_are() -> None:
    assert parse_template("a/+/*").is_literal
    assert not parse_template("a/{{identity.entity.id}}").is_literal


@given(st.text(), st.text("{}identy.groups"))
def test_any_text_is_a_template_or_refused(one: str, other: str) -> None:
    for text in (one, other, "{{" + one + "}}", "{{identity.entity.metadata." + other + "}}"):
        try:
            template = parse_template(text)
        except InvalidRequest:
            continue
        if template.is_literal:
            assert template.render(TemplateContext()) == text
