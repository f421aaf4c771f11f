"""Which records are a person's word, and how many people stand behind one."""

import pytest

from ironkeep.core.credential.connector import Probe
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.sworn import in_force, is_sworn, lacking, stated_by
from tests.support.incident.sample_case import CASE, DATABASE, OLD, Line, at, sample_case

REVOKED = ev.Revoked(CASE, OLD, DATABASE, at(50), "by hand", "ticket 9")


@pytest.mark.parametrize(
    ("record", "sworn"),
    [
        (REVOKED, True),
        (ev.Revoked(CASE, OLD, DATABASE, at(50), "m", "r", measured=True), False),
        (ev.Probed(CASE, OLD, DATABASE, "h", Probe.DEAD, "", "", at(50), 1), False),
        (ev.Compared(CASE, OLD, at(50), False, "version 2 is current"), False),
        (ev.RootChecked(CASE, "root:policies", True, "seen"), True),
        (ev.Exempted(CASE, OLD, "dora", "later", at(99)), True),
        (ev.Residue(CASE, "seen stays seen"), True),
        (ev.Confirmed(CASE, ("entry:1",)), True),
    ],
)
def test_a_word_is_told_from_a_measurement(record: ev.Record, sworn: bool) -> None:
    assert is_sworn(record) is sworn


def by(*entities: str, stater: dict[str, str] | None = None) -> CaseFile:
    """Return a case with a revocation by word, confirmed by these people in turn.

    `stater` has fields of the revocation's entry: whose word it is.
    """
    case = sample_case().without("confirmed", "revoked")
    word = Line(50, "revoked", REVOKED, stater or {})
    lines = (
        Line(
            100, f"by {number}", ev.Confirmed(CASE, ()), {"entity": each, "accessor": f"t{number}"}
        )
        for number, each in enumerate(entities)
    )
    return CaseFile(case.with_lines(word, *lines).evidence())


@pytest.mark.parametrize(
    ("entities", "holds"),
    [((), False), (("responder-entity",), False), (("auditor",), True), (("", ""), False),
     (("responder-entity", "auditor"), True)],
)  # fmt: skip
def test_two_people_are_needed(entities: tuple[str, ...], holds: bool) -> None:
    file = by(*entities)
    (stated,) = file.revocations(OLD)
    assert in_force(file, stated) is holds
    assert stated_by(stated) == "person responder-entity"


@pytest.mark.parametrize(
    ("stater", "entities", "words"),
    [
        ("responder", (), "only person responder states so: a second person has to confirm it"),
        ("", (), "only a token of nobody states so: two people have to confirm it"),
        ("", ("auditor",),
         "only a token of nobody states so: one person has confirmed it, and a second one has to"),
    ],
)  # fmt: skip
def test_it_is_said_how_many_people_are_missing(
    stater: str, entities: tuple[str, ...], words: str
) -> None:
    file = by(*entities, stater={"entity": stater, "name": stater or "root"})
    (stated,) = file.revocations(OLD)
    assert not in_force(file, stated)
    assert lacking(file, stated, "so") == words
