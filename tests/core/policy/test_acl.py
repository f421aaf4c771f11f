"""Decisions: merging, deny, lists, templates, root, and the rule that is named.

The kinds of cases are those of Vault's and OpenBao's own ACL tests, told anew, and the advisories
GHSA-xp3c (a list that slips past a narrower deny) and GHSA-59w7 (templates that widen).
"""

import time

import pytest

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.operation import Operation
from ironkeep.core.policy.acl import Acl, compile_acl
from ironkeep.core.policy.builtin import DEFAULT_POLICY_TEXT, RESPONSE_WRAPPING_POLICY_TEXT
from ironkeep.core.policy.policy import ROOT_POLICY, RuleRef, parse_policy
from ironkeep.core.policy.template import Subject, TemplateContext

NOBODY = TemplateContext()
READ, LIST, CREATE = Operation.READ, Operation.LIST, Operation.CREATE
UPDATE, PATCH, DELETE, HELP = Operation.UPDATE, Operation.PATCH, Operation.DELETE, Operation.HELP

SECONDS_FOR_MANY_RULES = 5.0
"""Ten times what ten thousand rules take here; a quadratic step would take minutes."""


def acl(*texts: str, who: TemplateContext = NOBODY) -> Acl:
    return compile_acl([parse_policy(f"p{n}", text) for n, text in enumerate(texts)], who)


def stanza(path: str, *capabilities: str) -> str:
    words = ", ".join(f'"{word}"' for word in capabilities)
    return f'path "{path}" {{\n  capabilities = [{words}]\n}}\n'


DEV = """
path "dev/*" { policy = "sudo" }
path "stage/*" { policy = "write" }
path "stage/aws/*" {
  policy = "read"
  capabilities = ["update", "sudo"]
}
path "stage/aws/policy/*" { policy = "sudo" }
path "prod/*" { policy = "read" }
path "prod/aws/*" { policy = "deny" }
path "sys/*" { policy = "deny" }
path "foo/bar" { capabilities = ["read", "create", "sudo"] }
path "baz/quux" { capabilities = ["read", "create", "patch"] }
path "test/+/segment" { capabilities = ["read"] }
path "+/segment/at/front" { capabilities = ["read"] }
path "test/segment/at/end/+" { capabilities = ["read"] }
path "test/segment/at/end/v2/+/" { capabilities = ["read"] }
path "test/+/wildcard/+/*" { capabilities = ["read"] }
path "1/2/*" { capabilities = ["create"] }
path "1/2/+" { capabilities = ["read"] }
path "1/2/+/+" { capabilities = ["update"] }
"""
OPS = """
path "dev/hide/*" { policy = "deny" }
path "stage/aws/policy/*" {
  policy = "deny"
  capabilities = ["read", "update", "sudo"]
}
path "prod/*" { policy = "write" }
path "sys/seal" { policy = "sudo" }
path "foo/bar" { capabilities = ["deny"] }
path "baz/quux" { capabilities = ["deny"] }
"""


@pytest.mark.parametrize(
    ("operation", "path", "allowed", "sudo"),
    [
        (READ, "root", False, False),
        (HELP, "root", True, False),
        (HELP, "sys/x", True, False),
        (READ, "dev/foo", True, True),
        (UPDATE, "dev/foo", True, True),
        (PATCH, "dev/foo", False, True),
        (DELETE, "stage/foo", True, False),
        (LIST, "stage/aws/foo", True, True),
        (UPDATE, "stage/aws/foo", True, True),
        (DELETE, "stage/aws/foo", False, True),
        (UPDATE, "stage/aws/policy/foo", True, True),
        (DELETE, "prod/foo", False, False),
        (READ, "prod/foo", True, False),
        (LIST, "prod/foo", True, False),
        (READ, "prod/aws/foo", False, False),
        (READ, "sys/mounts", False, False),
        (READ, "foo/bar", True, True),
        (CREATE, "foo/bar", True, True),
        (LIST, "foo/bar", False, True),
        (UPDATE, "foo/bar", False, True),
        (PATCH, "baz/quux", True, False),
        (UPDATE, "baz/quux", False, False),
        (READ, "/foo/bar", True, True),
        (READ, "///foo/bar", True, True),
        (READ, "foo/bar/", False, False),
        (READ, "test/foo/segment", True, False),
        (READ, "test/foo/bar/segment", False, False),
        (READ, "test/segment/at/front", True, False),
        (READ, "test/segment/at/frond", False, False),
        (READ, "test/segment/at/end/foo", True, False),
        (READ, "test/segment/at/end/foo/", False, False),
        (READ, "test/segment/at/end/v2/foo/", True, False),
        (READ, "test/segment/wildcard/at/foo/", True, False),
        (READ, "test/segment/wildcard/at/end", True, False),
        (READ, "test/segment/wildcard/at", False, False),
        (READ, "1/2/3", True, False),
        (UPDATE, "1/2/3", False, False),
        (READ, "1/2/3/4", False, False),
        (UPDATE, "1/2/3/4", True, False),
        (CREATE, "1/2/3/4/5", True, False),
    ],
)
def test_one_policy(operation: Operation, path: str, allowed: bool, sudo: bool) -> None:
    decision = acl(DEV).decide(path, operation)
    assert (decision.allowed, decision.sudo, decision.root) == (allowed, sudo, False)


@pytest.mark.parametrize(
    ("operation", "path", "allowed", "sudo"),
    [
        (READ, "dev/foo", True, True),
        (READ, "dev/hide/foo", False, False),
        (UPDATE, "stage/aws/foo", True, True),
        (UPDATE, "stage/aws/policy/foo", False, False),
        (DELETE, "prod/foo", True, False),
        (READ, "prod/aws/foo", False, False),
        (READ, "sys/status", False, False),
        (UPDATE, "sys/seal", True, True),
        (READ, "foo/bar", False, False),
        (CREATE, "foo/bar", False, False),
        (READ, "baz/quux", False, False),
    ],
)
def test_layers_of_policies(operation: Operation, path: str, allowed: bool, sudo: bool) -> None:
    for layered in (acl(DEV, OPS), acl(OPS, DEV)):
        decision = layered.decide(path, operation)
        assert (decision.allowed, decision.sudo) == (allowed, sudo)


@pytest.mark.parametrize("pattern", ["a/b", "a/*", "a/+"])
def test_rules_on_one_pattern_add_up_and_deny_beats_all(pattern: str) -> None:
    read, update = stanza(pattern, "read"), stanza(pattern, "update", "sudo")
    deny = stanza(pattern, "deny")
    for both in (acl(read, update), acl(update + read), acl(read + update)):
        assert both.decide("a/b", READ).allowed
        assert both.decide("a/b", UPDATE).allowed
        assert both.decide("a/b", READ).sudo
        assert not both.decide("a/b", DELETE).allowed
    for texts in ((read, deny), (deny, read), (read + deny,), (deny + read,), (deny, read, deny)):
        decision = acl(*texts, update).decide("a/b", READ)
        assert (decision.allowed, decision.sudo) == (False, False)


def test_the_same_pattern_in_two_spellings_is_one() -> None:
    both = acl(stanza("/a/b", "read"), stanza("a/b", "deny"))
    assert not both.decide("a/b", READ).allowed


@pytest.mark.parametrize(
    ("broad", "narrow"),
    [
        ("secret/*", "secret/team/*"),
        ("secret/*", "secret/team/a"),
        ("secret/+/a", "secret/team/a"),
        ("secret/*", "secret/+/a"),
        ("*", "secret/team/a"),
        ("+/team/*", "secret/team/*"),
    ],
)
def test_the_narrower_rule_alone_counts(broad: str, narrow: str) -> None:
    closed = acl(stanza(broad, "read", "sudo"), stanza(narrow, "deny"))
    assert not closed.decide("secret/team/a", READ).allowed
    assert not closed.decide("secret/team/a", READ).sudo
    opened = acl(stanza(broad, "deny"), stanza(narrow, "read"))
    assert opened.decide("secret/team/a", READ).allowed
    other = acl(stanza(broad, "read"), stanza(narrow, "update"))
    assert not other.decide("secret/team/a", READ).allowed
    empty = acl(stanza(broad, "read"), stanza(narrow))
    assert not empty.decide("secret/team/a", READ).allowed


@pytest.mark.parametrize(
    ("texts", "path", "allowed"),
    [
        ((stanza("a/b", "list"),), "a/b", True),
        ((stanza("a/b", "list"),), "a/b/", True),
        ((stanza("a/b/", "list"),), "a/b/", True),
        ((stanza("a/b/", "list"),), "a/b", False),
        ((stanza("a/*", "list"),), "a/", True),
        ((stanza("a/*", "list"),), "a", False),
        ((stanza("a*", "list"),), "a/", True),
        ((stanza("a/+", "list"),), "a/b/", True),
        ((stanza("a/+/", "list"),), "a/b/", True),
        ((stanza("a/+", "list"),), "a/b/c/", False),
        # The path as it is comes first, exact or not, and so does a deny on it.
        ((stanza("a/b/", "deny"), stanza("a/b", "list")), "a/b/", False),
        ((stanza("a/b/", "list"), stanza("a/b", "deny")), "a/b/", True),
        ((stanza("a/b/*", "deny"), stanza("a/+", "list")), "a/b/", False),
        ((stanza("a/+/*", "deny"), stanza("a/+", "list")), "a/b/", False),
        ((stanza("a/b/*", "deny"), stanza("a/b*", "list")), "a/b/", False),
        # An exact rule on the bare path is more specific than any that is not exact.
        ((stanza("a/b/*", "list"), stanza("a/b", "deny")), "a/b/", False),
        ((stanza("a/b/*", "deny"), stanza("a/b", "list")), "a/b/", True),
    ],
)
def test_lists_and_the_last_slash(texts: tuple[str, ...], path: str, allowed: bool) -> None:
    assert acl(*texts).decide(path, LIST).allowed is allowed


def test_only_lists_forget_the_last_slash() -> None:
    everything = ("create", "read", "update", "patch", "delete", "list")
    for operation in (READ, CREATE, UPDATE, PATCH, DELETE):
        assert not acl(stanza("a/b", *everything)).decide("a/b/", operation).allowed
        assert not acl(stanza("a/+", *everything)).decide("a/b/", operation).allowed


@pytest.mark.parametrize(
    ("path", "capabilities"),
    [
        ("dev/", ["sudo", "read", "list", "update", "delete", "create"]),
        ("dev", ["deny"]),
        ("stage/aws/test", ["sudo", "read", "list", "update"]),
        ("baz/quux", ["read", "create", "patch"]),
        ("/foo/bar", ["sudo", "read", "create"]),
        ("foo/bar/", ["sudo", "read", "create"]),
        ("sys/x", ["deny"]),
        ("nowhere", ["deny"]),
    ],
)
def test_capabilities(path: str, capabilities: list[str]) -> None:
    assert acl(DEV).capabilities(path) == capabilities


def test_a_stanza_without_capabilities_denies() -> None:
    assert acl(stanza("a")).capabilities("a") == ["deny"]


def test_root() -> None:
    root = compile_acl([ROOT_POLICY], NOBODY)
    for operation in Operation:
        decision = root.decide("sys/anything", operation, {"x": 1})
        assert (decision.allowed, decision.sudo, decision.root) == (True, True, True)
        assert decision.rule == RuleRef("root", "*", 0)
    assert root.capabilities("any/path") == ["root"]
    assert root.reaches("any/")


def test_root_stands_alone() -> None:
    for policies in ([ROOT_POLICY, parse_policy("a", "")], [ROOT_POLICY, ROOT_POLICY]):
        with pytest.raises(InvalidRequest, match="root policy"):
            compile_acl(policies, NOBODY)


def test_no_policies_grant_nothing_but_help() -> None:
    nothing = compile_acl([], NOBODY)
    assert [one for one in Operation if nothing.decide("a", one).allowed] == [HELP]
    assert nothing.capabilities("a") == ["deny"]
    assert not nothing.reaches("a/")


ALICE = TemplateContext(entity=Subject("e-1", "alice", {"team": "red"}))


def test_templates_are_filled_in_per_holder() -> None:
    text = stanza("secret/{{identity.entity.id}}/*", "read")
    assert acl(text, who=ALICE).decide("secret/e-1/x", READ).allowed
    assert not acl(text, who=ALICE).decide("secret/e-2/x", READ).allowed
    assert not acl(text).decide("secret/e-1/x", READ).allowed
    assert not acl(text).decide("secret/{{identity.entity.id}}/x", READ).allowed


def test_a_rendered_path_merges_with_its_literal_twin() -> None:
    text = stanza("secret/{{identity.entity.name}}", "deny")
    both = acl(stanza("secret/alice", "read"), text, who=ALICE)
    assert not both.decide("secret/alice", READ).allowed


@pytest.mark.parametrize("value", ["*", "+", "a/b", "x*"])
@pytest.mark.parametrize("capability", ["read", "deny"])
def test_a_value_that_could_widen_a_path_stops_everything(value: str, capability: str) -> None:
    """Leaving out the rule alone would uncover the broader one below it."""
    texts = stanza("secret/*", "read"), stanza("secret/{{identity.entity.name}}", capability)
    with pytest.raises(PermissionDenied, match=r"policy 'p1': .*identity\.entity\.name"):
        acl(*texts, who=TemplateContext(entity=Subject("e", value)))


def test_the_default_policy() -> None:
    default = acl(DEFAULT_POLICY_TEXT, who=ALICE)
    assert default.decide("auth/token/lookup-self", READ).allowed
    assert default.decide("identity/entity/id/e-1", READ).allowed
    assert default.decide("identity/entity/name/alice", READ).allowed
    assert not default.decide("identity/entity/name/bob", READ).allowed
    assert default.decide("cubbyhole/x/", LIST).allowed
    assert default.decide("identity/oidc/provider/p/authorize", UPDATE).allowed
    assert not default.decide("sys/mounts", READ).allowed
    assert not acl(DEFAULT_POLICY_TEXT).decide("identity/entity/id/", READ).allowed


def test_the_response_wrapping_policy() -> None:
    wrapping = acl(RESPONSE_WRAPPING_POLICY_TEXT)
    assert wrapping.decide("cubbyhole/response", READ).allowed
    assert not wrapping.decide("cubbyhole/other", READ).allowed


@pytest.mark.parametrize(
    ("folder", "reaches"),
    [("dev/", True), ("foo/", True), ("baz/", True), ("sys/", False), ("kv/", False)],
)
def test_reaching_into_a_mount(folder: str, reaches: bool) -> None:
    text = DEV.replace('path "+/segment/at/front"', 'path "dev/segment"')
    assert acl(text).reaches(folder) is reaches


def test_the_deciding_rule_is_named() -> None:
    compiled = acl(
        stanza("a/*", "read") + stanza("b", "deny"),
        stanza("a/*", "update", "read") + stanza("c", "read"),
        stanza("c", "deny"),
    )
    named = [
        ("a/x", READ, RuleRef("p0", "a/*", 1), "the rule grants read"),
        ("a/x", UPDATE, RuleRef("p1", "a/*", 1), "the rule grants update"),
        ("a/x", DELETE, RuleRef("p0", "a/*", 1), "the rule does not grant delete"),
        ("b", READ, RuleRef("p0", "b", 4), "the rule denies the path"),
        ("c", READ, RuleRef("p2", "c", 1), "the rule denies the path"),
        ("d", READ, None, "no rule matches the path"),
        ("d", HELP, None, "help needs no capability"),
    ]
    for path, operation, rule, reason in named:
        decision = compiled.decide(path, operation)
        assert (decision.rule, decision.reason) == (rule, reason)


def test_ten_thousand_rules_compile_and_decide_soon() -> None:
    before = time.process_time()
    text = "".join(stanza(f"secret/{n}/+/xyz", "read", "list") for n in range(5_000))
    text += "".join(stanza(f"secret/{n}/*", "deny") for n in range(5_000))
    compiled = acl(text)
    for n in range(5_000):
        assert compiled.decide(f"secret/{n}/a/xyz", READ).allowed
        assert not compiled.decide(f"secret/{n}/a", READ).allowed
    assert time.process_time() - before < SECONDS_FOR_MANY_RULES
