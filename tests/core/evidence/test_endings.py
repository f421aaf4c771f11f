"""Each endpoint on record is asked and cleared, and a login that was under way has ended."""

from typing import Any

import pytest

from ironkeep.core.credential.connector import Probe
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.verdict import Outcome, Verdict, decide
from tests.support.incident.sample_case import (
    CASE,
    DATABASE,
    OLD,
    UNPLACED,
    Line,
    at,
    sample_case,
)
from tests.support.incident.spoils import (
    HOST,
    Spoil,
    add,
    also_swept,
    both,
    change,
    drop,
    placed,
)


def verdict_of(*spoils: Spoil) -> Verdict:
    return decide(both(*spoils)(sample_case()).evidence())[0]


def checks(verdict: Verdict) -> set[str]:
    return {item.check for item in verdict.open_items()}


def asked(endpoint: str, state: Probe = Probe.DEAD) -> Spoil:
    probed = ev.Probed(CASE, OLD, DATABASE, endpoint, state, "28P01", "refused", at(53), 3)
    return add(Line(53, "probed too", probed))


def test_evidence_that_says_all_of_it_is_proven() -> None:
    assert verdict_of(placed(HOST)).outcome is Outcome.PROVEN


@pytest.mark.parametrize("endpoint", ["replica:5432", "replica:5432 (192.0.2.1)"])
def test_a_second_endpoint_is_asked_by_its_name_or_by_its_addresses(endpoint: str) -> None:
    both_hosts = both(placed(HOST, "replica:5432"), also_swept("replica:5432"))
    assert checks(verdict_of(both_hosts)) == {"endpoint not asked"}
    assert verdict_of(both_hosts, asked(endpoint)).outcome is Outcome.PROVEN
    alive = verdict_of(both_hosts, asked(endpoint, Probe.ALIVE))
    assert alive.outcome is Outcome.DISPROVEN


def test_a_host_that_was_taken_out_of_the_configuration_stays_on_record() -> None:
    later = add(Line(7, "moved", ev.Addressed(*UNPLACED, DATABASE, (HOST,), (), declared=True)))
    found = verdict_of(placed(HOST, "replica:5432"), also_swept("replica:5432"), later)
    assert checks(found) == {"endpoint not asked"}
    assert "replica:5432" in found.open_items()[0].words


def test_a_pooler_is_an_endpoint_of_its_own() -> None:
    pooled = ev.Addressed(*UNPLACED, DATABASE, (HOST,), ("pool:6432",), declared=True)
    found = verdict_of(placed(HOST), add(Line(7, "pooled", pooled)))
    assert checks(found) == {"endpoint not asked", "endpoint not cleared"}
    assert all("pool:6432" in item.words for item in found.open_items())


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"logins": 2}, "2 logins begun before"),
        ({"login_seconds": -1}, "nobody knows how long"),
        ({"login_seconds": 60}, "until"),
        ({"counted_ns": 0}, "nobody knows how long"),
        ({"counted_ns": at(49)}, "until"),
    ],
    ids=["under way", "unknown", "not passed", "an old record", "counted before"],
)
def test_logins_that_may_still_finish_keep_it_open(said: dict[str, Any], words: str) -> None:
    found = verdict_of(placed(HOST, **said))
    assert checks(found) == {"logins under way"}
    assert words in found.open_items()[0].words


def test_a_count_after_the_longest_login_closes_it() -> None:
    assert verdict_of(placed(HOST, login_seconds=1)).outcome is Outcome.PROVEN
    late = ev.Ended(CASE, OLD, DATABASE, at(94), 0, 0, at(93), 0, 40, (HOST,))
    first = placed(HOST, login_seconds=40)
    assert checks(verdict_of(first)) == {"logins under way"}
    again = add(Line(94, "again", late))
    assert checks(verdict_of(first, again)) == {"not swept"}
    swept = ev.Swept(
        CASE, DATABASE, "aa", "bb", at(95), (), (), ("key role app",), (), (), endpoint=HOST
    )
    assert verdict_of(first, again, add(Line(95, "swept", swept))).outcome is Outcome.PROVEN


def test_what_ironkeep_recognises_as_its_own_change_takes_no_second_person() -> None:
    alone = both(placed(HOST), drop("confirmed"))
    assert "explanation sworn by one" in checks(verdict_of(alone))
    own = change("explained", measured=True)
    assert "explanation sworn by one" not in checks(verdict_of(alone, own))
    assert verdict_of(placed(HOST), own).outcome is Outcome.PROVEN


def test_evidence_of_an_earlier_release_is_judged_as_before() -> None:
    assert decide(sample_case().evidence())[0].outcome is Outcome.PROVEN
