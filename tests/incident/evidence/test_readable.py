"""The worker's part of a survey: which paths each ruling allows, in steps."""

from typing import Any, cast

from ironkeep.core.policy.template import Subject, TemplateContext
from ironkeep.incident.evidence.readable import IN_A_STEP, Holder, readable
from ironkeep.journal.questions import Context

NOBODY: tuple[Any, ...] = ("", "", {}, {})


def asked(**about: Any) -> tuple[dict[str, Any], int]:
    """Return the answer and the number of steps that it took."""
    steps, count = readable(cast("Context", None), about), 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value, count
        count += 1


def rule(path: str, what: str = "read") -> str:
    return f'path "{path}" {{ capabilities = ["{what}"] }}\n'


def masks(answer: dict[str, Any]) -> list[int]:
    return [int.from_bytes(answer["masks"][at], "little") for at in answer["which"]]


def test_each_path_has_the_rulings_that_allow_it() -> None:
    texts = (rule("a/*"), rule("a/b", "deny"))
    rulings = (
        ((("p", 0),), (), NOBODY),
        ((("p", 0), ("q", 1)), (), NOBODY),
        ((("p", 0),), (("q", 1),), NOBODY),
        ((("root", 0),), (), NOBODY),
    )
    answer, _ = asked(texts=texts, rulings=rulings, paths=("a/b", "a/c", "x"))
    assert masks(answer) == [0b1001, 0b1111, 0b1000]


def test_the_holder_of_a_token_that_makes_tokens_can_leave_a_policy_out() -> None:
    texts = (rule("a/*") + rule("auth/token/create", "update"), rule("a/b", "deny"))
    own = ((("p", 0), ("q", 1)), (), NOBODY)
    of_person = ((("p", 0),), (("q", 1),), NOBODY)
    answer, _ = asked(texts=texts, rulings=(own, of_person), paths=("a/b",))
    # What a person has on top, every token of the person has.
    assert masks(answer) == [0b01]


def test_templates_are_those_of_the_holder_and_a_bad_one_grants_nothing() -> None:
    texts = (rule("a/{{identity.entity.name}}/*"),)
    ann = Holder.of(TemplateContext(Subject("1", "ann"), {"m": Subject("2", "ann@m")}))
    bad: tuple[Any, ...] = ("1", "*", {}, {})
    told = (ann.id, ann.name, ann.metadata, ann.aliases)
    rulings = tuple(((("p", 0),), (), holder) for holder in (told, NOBODY, bad))
    answer, _ = asked(texts=texts, rulings=rulings, paths=("a/ann/x", "a/*/x"))
    assert masks(answer) == [0b001, 0]
    assert ann.templates.aliases["m"].name == "ann@m"


def test_many_paths_are_decided_in_steps() -> None:
    paths = tuple(f"a/{number}" for number in range(IN_A_STEP))
    rulings = tuple(((("p", 0), (f"q{number}", 1)), (), NOBODY) for number in range(3))
    answer, steps = asked(texts=(rule("a/*"), rule("b")), rulings=rulings, paths=paths)
    assert steps == 2 * 3
    assert set(masks(answer)) == {0b111}
