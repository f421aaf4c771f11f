"""Two verifiers of the same packs: ours, and the one that is written from the description alone.

They agree about what they accept, to the last number, and both refuse whatever was changed.
"""

import importlib.util
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import count, islice
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any, Final

import cryptography
import msgspec
import pytest

from ironkeep.core import event
from ironkeep.core.errors import IntegrityError, InvalidRequest, NotFound
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.packing import dsse
from ironkeep.core.evidence.packing.pack import PAYLOAD_TYPE, Pack, read_statement, state
from ironkeep.core.evidence.verdict import decide
from ironkeep.incident.evidence.packer import make_pack
from ironkeep.incident.verifier.trust import TrustedKeys
from ironkeep.incident.verifier.verifier import verify_pack
from ironkeep.tlog.note import KeyType
from tests.core.evidence.checks.test_statements import SPOILS as STATEMENTS
from tests.support.incident.incident_estate import Estate
from tests.support.incident.indexed_case import IndexedCase
from tests.support.incident.mutations import (
    WORDS,
    Base,
    Mutations,
    base_of,
    changed_entry,
    pinned,
    signed,
)
from tests.support.incident.random_case import CASES, RandomCase
from tests.support.incident.sample_case import (
    CASE,
    END_AT,
    NEW,
    OLD,
    Line,
    SampleCase,
    at,
    sample_case,
)  # fmt: skip
from tests.support.incident.sample_pack import SamplePack
from tests.support.incident.spoils import ACTING, SPOILS

PROGRAM: Final = Path(__file__).parents[3] / "tools" / "verify_pack.py"
REFUSED: Final = "refused"
OLDER: Final = Path(__file__).with_name("golden")


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_pack", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["verify_pack"] = module
    spec.loader.exec_module(module)
    return module


second: Final[Any] = loaded()


def first_answer(raw: bytes, trust: bytes) -> str:
    try:
        report = verify_pack(raw, TrustedKeys.parse(trust))
    except (IntegrityError, InvalidRequest):
        return REFUSED
    return f"{report.level}: {report.headline}"


def second_answer(raw: bytes, trust: bytes) -> str:
    try:
        return str(second.verify(raw, trust).headline)
    except second.Refused:
        return REFUSED


def bare(value: Any) -> Any:
    """Return a value without its texts for people."""
    if isinstance(value, dict):
        return {key: bare(each) for key, each in value.items() if key not in WORDS}
    return [bare(each) for each in value] if isinstance(value, list) else value


def compare(evidence: ev.Evidence) -> str:
    """Assert that both compute the same from the same entries; return the outcome."""
    verdict, exposure = decide(evidence)
    bodies = [(index, event.encode(entry).decode()) for index, entry in evidence.entries]
    assert computed(evidence, bodies) == (bare(plain(exposure)), bare(plain(verdict)))
    return str(verdict.outcome)


def computed(evidence: ev.Evidence, bodies: list[tuple[int, str]]) -> tuple[Any, Any]:
    """Return exposure and verdict of the second verifier."""
    entries = [second.entry_of(index, body) for index, body in bodies]
    log = evidence.log
    facts = second.Facts(
        log.origin, log.size, log.start, set(log.cosigners), log.cosigned_ns, log.withheld, log.late
    )
    case = second.Case(second.CaseFile(evidence.case, evidence.as_of_ns, facts, entries))
    return second.told(case.exposure), second.verdict_of(case)


def plain(value: msgspec.Struct) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


# What both accept.


def compare_random(seeds: range) -> None:
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        lines = 40 if seed % 10 else 200
        case = RandomCase(seed, lines).case()
        for number in CASES:
            outcomes[compare(case.evidence(number, end=lines))] += 1
    assert len(outcomes) > 1


def test_both_compute_the_same_from_random_entries() -> None:
    compare_random(range(75))


@pytest.mark.slow
def test_both_compute_the_same_from_many_random_entries() -> None:
    compare_random(range(75, 1_100))


def compare_changed(seed: int, number: int) -> None:
    """Change one entry of a log at a time: both compute the same, or both refuse it."""
    random, answers = Random(seed), Counter[str]()
    logs = [RandomCase(seed, 40).case().evidence(CASES[0], end=40), sample_case().evidence()]
    for _ in range(number):
        evidence = random.choice(logs)
        bodies = [(index, event.encode(entry).decode()) for index, entry in evidence.entries]
        place = random.randrange(len(bodies))
        bodies[place] = (bodies[place][0], changed_entry(random, bodies[place][1]))
        try:
            entries = tuple((index, event.decode(body.encode())) for index, body in bodies)
            verdict, exposure = decide(
                ev.Evidence(evidence.case, evidence.as_of_ns, evidence.logs, entries)
            )
        except (IntegrityError, InvalidRequest, msgspec.ValidationError):
            answers[REFUSED] += 1
            with pytest.raises(second.Refused):
                computed(evidence, bodies)
        else:
            answers["read"] += 1
            assert computed(evidence, bodies) == (bare(plain(exposure)), bare(plain(verdict)))
    assert len(answers) == 2


def test_both_read_a_changed_entry_alike() -> None:
    compare_changed(1, 150)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
def test_both_read_many_changed_entries_alike(seed: int) -> None:
    compare_changed(seed, 1_000)


@pytest.mark.parametrize("name", sorted({*SPOILS, *STATEMENTS} - {"pack too old"}))
def test_both_find_what_is_spoilt(name: str) -> None:
    """Packs of version 3 answer every question, so their verdict has no finding `pack too old`."""
    case = SPOILS[name][0](sample_case()) if name in SPOILS else STATEMENTS[name][0]
    compare(case.evidence())


def test_both_find_a_principal_that_acts_and_an_exemption_by_one_person() -> None:
    compare(ACTING(sample_case()).evidence())
    waiver = ev.Exempted(CASE, OLD, "dora", "accepted", at(END_AT + 1))
    lone = sample_case().without("probed", "confirmed").with_lines(Line(95, "waiver", waiver))
    compare(lone.evidence())


def test_both_compute_the_same_as_of_any_time() -> None:
    for end in range(0, 101, 5):
        compare(sample_case().evidence(end=end))
    case = RandomCase(7).case()
    for end in range(0, 60, 4):
        compare(case.evidence(CASES[0], end=end))


@pytest.mark.parametrize("seed", range(24))
def test_both_accept_the_pack_of_a_random_case(seed: int) -> None:
    sample = SamplePack(RandomCase(seed, 40).case())
    for number in CASES:
        try:
            raw = make_pack(number, at(40), sample.shown(), sample.key)
        except NotFound:
            continue
        trust = sample.trust.serialise()
        answer = first_answer(raw, trust)
        assert answer != REFUSED
        assert second_answer(raw, trust) == answer


def test_both_accept_the_bases_of_the_mutations() -> None:
    answers = {base.name: first_answer(base.raw, base.trust) for base in bases()}
    assert answers == {base.name: second_answer(base.raw, base.trust) for base in bases()}
    assert REFUSED not in answers.values()
    assert len(set(answers.values())) > 3


def test_without_pinned_keys_both_call_it_self_consistent() -> None:
    raw = SamplePack().pack()
    assert (
        second.verify(raw, None).headline == f"SELF-CONSISTENT: {verify_pack(raw, None).headline}"
    )
    assert second.verify(raw, None).code == 5


# What both refuse.


@cache
def bases() -> list[Base]:
    """Return sound packs: whole and indexed logs, cases that went well and cases that did not."""
    sample, alone = SamplePack(), SamplePack(witnesses=())
    exempted = SamplePack(SPOILS["not watched"][0](sample_case()))
    busy = IndexedCase(reads=4_300)
    found = [
        base_of("sample", sample.pack(), sample.trust.serialise(), sample.log),
        base_of("open", exempted.pack(), exempted.trust.serialise(), exempted.log),
        base_of("alone", alone.pack(), alone.trust.serialise(), alone.log),
        base_of("busy", busy.pack(), busy.trust.serialise(), busy.log),
    ]
    found += islice(random_bases(), 4)
    estate = Estate.fresh()
    estate.read_password(estate.login("engineer"))
    case = estate.open_case("person:engineer")
    estate.evict(case)
    trust = estate.trust().serialise()
    found.append(base_of("estate", estate.pack(case), trust))
    return found


def random_bases() -> Iterator[Base]:
    for seed in count():
        made = SamplePack(RandomCase(seed, 40).case())
        with suppress(NotFound):
            raw = make_pack(CASES[0], at(40), made.shown(), made.key)
            yield base_of(f"random {seed}", raw, made.trust.serialise(), made.log)


def refuse_all(seed: int, number: int) -> None:
    for mutant in Mutations(seed, bases()).draw(number):
        answers = first_answer(mutant.raw, mutant.trust), second_answer(mutant.raw, mutant.trust)
        assert answers == (REFUSED, REFUSED), mutant.done


def test_both_refuse_what_was_changed() -> None:
    refuse_all(1, 300)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", range(2, 22))
def test_both_refuse_10_000_changed_packs(seed: int) -> None:
    refuse_all(seed, 500)


def without_line(case: SampleCase, number: int) -> SampleCase:
    return SampleCase((*case.lines[:number], *case.lines[number + 1 :]))


@pytest.mark.parametrize("number", range(len(sample_case().lines)))
def test_a_log_without_an_entry_gives_both_the_same_verdict(number: int) -> None:
    """A vault, its log and its witness that all lie from the start make a consistent pack."""
    sample = SamplePack(without_line(sample_case(), number))
    trust = sample.trust.serialise()
    try:
        raw = sample.pack()
    except NotFound:
        return
    assert second_answer(raw, trust) == first_answer(raw, trust)


GATE: Final[dict[str, Any]] = {
    "gate": "g",
    "need": 1,
    "known": [OLD],
    "live": [NEW],
    "kind": "opens",
}
NO_GATES: Final[dict[str, dict[str, Any]]] = {
    "a gate that needs nothing": {"need": 0},
    "a gate that needs too much": {"need": 3},
    "a gate of another kind": {"kind": "wraps"},
    "a gate of families": {"known": [f"{OLD.rpartition('@')[0]}@*"]},
    "a gate without a name": {"gate": ""},
}
MALFORMED: Final[dict[str, Any]] = {
    "no object": [],
    "no kind": {"time_ns": 1},
    "another kind": {"kind": "words", "time_ns": 1},
    "no time": {"kind": "request"},
    "a time in words": {"kind": "request", "time_ns": "now"},
    "a number for a path": {"kind": "request", "time_ns": 1, "path": 1},
    "a release without a path": {"kind": "request", "time_ns": 1, "released": [{"mount": "m"}]},
    "a record by nobody that can be": {"kind": "effect", "time_ns": 1, "entity": "a\nb",
                                       "audited": {"incident": "residue", "case": CASE,
                                                   "words": "w"}},
    "a time after all others": {"kind": "tick", "time_ns": 2**63 - 1},
    "a maker of no kind": {"kind": "request", "time_ns": 1, "entity": "x",
                           "audited": {"made_by": ["x@1@2"]}},
    "a record of no type": {"incident": "heard"},
    "a field too few": {"incident": "residue", "case": CASE},
    "a field too many": {"incident": "residue", "case": CASE, "words": "w", "more": "m"},
    "a field of another type": {"incident": "residue", "case": CASE, "words": 1},
    "a number below 0": {"incident": "heartbeat", "source": "s", "sent": -1, "missed": 0},
    "a containment of nobody": {"incident": "contained", "case": CASE, "principal": "",
                                "sessions": [], "gone": [], "leases": 0},
    "a number above all": {"incident": "heartbeat", "source": "s", "sent": 2**63, "missed": 0},
    "another state": {"incident": "probed", "case": CASE, "version": OLD, "system": "system:x",
                      "endpoint": "h", "state": "well", "code": "", "reason": "", "at_ns": 1,
                      "took_ms": 1},
    "a link to no node": {"incident": "linked", "seq": 5, "chain": "", "source": OLD,
                          "kind": "opens", "targets": ["x"], "from_ns": 0, "basis": "b"},
    "a link of no kind": {"incident": "linked", "seq": 5, "chain": "", "source": OLD,
                          "kind": "knows", "targets": [NEW], "from_ns": 0, "basis": "b"},
    **{
        name: {"incident": "gated", "seq": 5, "chain": "", **GATE, "target": NEW, "from_ns": 0,
               "basis": "b", **change}
        for name, change in NO_GATES.items()
    },
}  # fmt: skip


def with_entry(given: dict[str, Any]) -> tuple[bytes, bytes]:
    """Return a pack whose log ends with a further entry or record, and its trust file."""
    sample = SamplePack()
    pack, digest = read_statement(dsse.decode(sample.pack()))
    assert isinstance(pack, Pack)
    if "incident" in given:
        given = {"kind": "effect", "time_ns": at(95), "audited": given}
    body = msgspec.json.encode(given)
    sample.log.append([sample._leaf_key.encrypt(len(sample.log.entries), body)])
    index = tuple(sample.no_runs for _ in pack.logs[0].index)
    shown = msgspec.structs.replace(sample.bare(), index=index)
    payload = state(msgspec.structs.replace(pack, logs=(shown,)), digest)
    return signed(payload), pinned(sample.trust.serialise())


@pytest.mark.parametrize("name", MALFORMED)
def test_both_refuse_a_log_with_a_malformed_entry(name: str) -> None:
    raw, trust = with_entry(MALFORMED[name])
    assert first_answer(raw, trust) == REFUSED
    with pytest.raises(second.Refused, match=r"^step \(6\)"):
        second.verify(raw, trust)


def test_a_well_formed_entry_is_read_and_changes_the_verdict() -> None:
    raw, trust = with_entry({"incident": "residue", "case": CASE, "words": "more"})
    assert first_answer(raw, trust) == REFUSED
    with pytest.raises(second.Refused, match=r"^step \(8\)"):
        second.verify(raw, trust)


@pytest.mark.parametrize("name", ["version-1", "version-2"])
def test_a_pack_of_an_older_format_is_refused(name: str) -> None:
    raw = (OLDER / f"{name}.pack").read_bytes()
    with pytest.raises(second.Refused, match="older format"):
        second.verify(raw, (OLDER / f"{name}.trust").read_bytes())


# The program.

ALONE: Final = """
import runpy, sys
class Only:
    def find_spec(self, name, path=None, target=None):
        known = {*sys.stdlib_module_names, "cryptography", "cffi", "_cffi_backend"}
        if name.partition(".")[0] not in known:
            raise ImportError(f"{name} is not to be imported")
sys.meta_path.insert(0, Only())
sys.path.append(sys.argv.pop(1))
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(*args: str | Path) -> tuple[int, str]:
    """Run the program where only the standard library and cryptography can be imported."""
    place = Path(cryptography.__file__).parents[1]
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(place), str(PROGRAM), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_the_program_needs_nothing_but_cryptography(tmp_path: Path) -> None:
    sample = SamplePack()
    pack, trust = tmp_path / "case.pack", tmp_path / "trusted-keys.txt"
    pack.write_bytes(sample.pack())
    trust.write_bytes(sample.trust.serialise())
    code, said = run(pack, trust)
    assert (code, said.splitlines()[0]) == (0, "VERIFIED: PROVEN: closed: 1 measured")
    code, said = run(pack)
    assert (code, said.splitlines()[0]) == (5, "SELF-CONSISTENT: PROVEN: closed: 1 measured")


def test_a_statement_of_reads_is_named_as_what_it_is() -> None:
    key = SamplePack().key
    vkey = key.verifier_key(KeyType.ED25519).format()
    raw = b'{"predicateType":"urn:ironkeep:did-read:v1"}'
    made = dsse.encode(dsse.sign(PAYLOAD_TYPE, raw, {vkey: key.private_key()}))
    with pytest.raises(second.Refused, match="a statement of reads, and no pack"):
        second.verify(made, None)


def test_a_reader_that_stops_early_gets_the_code(tmp_path: Path) -> None:
    """`verify_pack.py … | head -1` ended with a traceback and code 1, under a verdict of PROVEN."""
    pack = tmp_path / "case.pack"
    pack.write_bytes(SamplePack().pack())
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, str(PROGRAM), str(pack)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (5, b"")


def test_a_changed_pack_is_refused_with_code_6(tmp_path: Path) -> None:
    pack = tmp_path / "case.pack"
    pack.write_bytes(SamplePack().pack()[:-1])
    assert run(pack) == (6, "REFUSED: step (1): this is no JSON\n")


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "missing", "large"])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "case.pack"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(402_653_185)
    for given in ((path,), (path, path)):
        code, said = run(*given)
        assert code == 6
        assert said.startswith("REFUSED: step (")


def test_it_imports_nothing_of_ours() -> None:
    lines = PROGRAM.read_text(encoding="utf-8").splitlines()
    imported = {
        line.split()[1].partition(".")[0] for line in lines if line.startswith(("import ", "from "))
    }
    assert imported - sys.stdlib_module_names == {"cryptography"}
