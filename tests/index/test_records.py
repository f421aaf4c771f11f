"""The records of a run: shortcuts and merges give what the plain way gives."""

from random import Random

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry, encode
from ironkeep.core.secret import Secret
from ironkeep.index.key import term_key
from ironkeep.index.positions import FAN, RUN, chunks_of, positions_of, record_of
from ironkeep.index.records import Digests, Merger, RunBuilder, root_of, times_of
from ironkeep.index.terms import TIMES, UNREAD, Facts, Term, What, terms_of
from ironkeep.tlog.merkle import Frontier
from tests.support.log.sample_index import random_entry

DIGESTS = Digests(term_key(Secret(b"\x05" * 32), "log/1"))


def facts_of(entry: Entry) -> Facts:
    """Return the fields of an entry that building an index decodes."""
    return msgspec.json.decode(encode(entry), type=Facts)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1 << 30))
def test_the_fast_way_gives_the_terms_of_each_entry(seed: int) -> None:
    """Whatever the entries hold."""
    rng = Random(seed)
    fast, plain = RunBuilder(DIGESTS), RunBuilder(DIGESTS)
    for offset in sorted(rng.sample(range(RUN), 40)):
        entry = random_entry(rng)
        fast.take(offset, facts_of(entry))
        plain.take_terms(offset, entry.time_ns, terms_of(entry))
    assert fast.records() == plain.records()


def test_merged_records_hold_the_positions_of_all_runs() -> None:
    """The times of each run stay apart; a run without entries has none."""
    merger, expected = Merger(), dict[Term, list[int]]()
    rng = Random(1)
    for ordinal in range(FAN):
        builder = RunBuilder(DIGESTS)
        for offset in sorted(rng.sample(range(RUN), ordinal % 3)):
            terms = [Term(What.PATH, str(rng.randrange(5)))]
            builder.take_terms(offset, ordinal, terms)
            expected.setdefault(terms[0], []).append(7 * RUN + ordinal * RUN + offset)
        builder.take_leaf(0, UNREAD)
        merger.take(builder.records())
    records = dict(merger.records())
    assert list(records) == sorted(records)
    for term, positions in expected.items():
        assert positions_of(records[DIGESTS.of(term)], 7 * RUN) == positions
    times = list(times_of(records[DIGESTS.of(TIMES)], 0))
    assert [each.earliest for each in times] == [at for at in range(FAN) if at % 3]
    assert len(list(chunks_of(records[DIGESTS.of(TIMES)]))) == FAN


def test_a_merge_takes_all_runs() -> None:
    merger = Merger()
    merger.take([])
    with pytest.raises(ValueError, match="64 runs"):
        merger.records()


def test_times_past_64_bits_are_cut_and_damaged_ones_refused() -> None:
    """No clock gives such times, but an entry can hold any number."""
    builder = RunBuilder(DIGESTS)
    builder.take_terms(0, 1 << 70, [])
    builder.take_terms(1, -(1 << 70), [])
    record = dict(builder.records())[DIGESTS.of(TIMES)]
    assert list(times_of(record, 0)) == [(0, -(1 << 63), (1 << 63) - 1)]
    for damaged in (b"x" * 15, (5).to_bytes(8, "big") + (4).to_bytes(8, "big")):
        with pytest.raises(IntegrityError):
            list(times_of(record_of(damaged), 0))


def test_the_root_is_that_of_rfc_6962() -> None:
    for count in (1, 2, 3, 127, 128, 129, 300):
        hashes = [bytes([at % 256]) * 32 for at in range(count)]
        frontier = Frontier()
        frontier.append(hashes)
        assert root_of(hashes) == frontier.root()
