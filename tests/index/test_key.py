"""The term key: one for a log and a reading key, and never shown."""

import pytest

from ironkeep.core.secret import Secret
from ironkeep.index.key import TermKey, term_key
from ironkeep.index.terms import Term, What

PRIVATE = Secret(b"\x05" * 32)


def test_each_log_and_each_reading_key_has_a_term_key_of_its_own() -> None:
    """The same name has another digest in another log."""
    keys = [
        term_key(private, origin)
        for private in (PRIVATE, Secret(b"\x06" * 32))
        for origin in ("log/1", "log/2")
    ]
    term = Term(What.ACTOR, "person:e")
    assert len({key.of(term) for key in keys}) == len({key.check for key in keys}) == 4
    assert term_key(PRIVATE, "log/1").of(term) == keys[0].of(term)


def test_what_and_value_do_not_run_into_each_other() -> None:
    """A value with any bytes in it has a digest, and another term has another one."""
    key = term_key(PRIVATE, "log/1")
    values = ["a", "a\x00", "", "\x00", "\ud800", "\xe9", "e\u0301", "x" * 100_000]
    terms = [Term(what, value) for what in What for value in values]
    assert len({key.of(term) for term in terms}) == len(terms)


def test_a_key_has_its_size_and_is_not_shown() -> None:
    key = term_key(PRIVATE, "log/1")
    assert key.disclose().hex() not in repr(key)
    assert TermKey(Secret(key.disclose())).check == key.check
    with pytest.raises(ValueError, match="32 bytes"):
        TermKey(Secret(b"short"))
