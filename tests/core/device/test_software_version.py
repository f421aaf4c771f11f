"""The order of versions: tables, properties, and dpkg's own word on Debian's."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.core.device.software_version import (
    MAX_VERSION,
    Scheme,
    Unparsable,
    begins_with,
    compare,
    is_older,
)

NUMBERS = st.lists(st.integers(0, 10**6), min_size=1, max_size=8)


def _text(numbers: list[int]) -> str:
    return ".".join(map(str, numbers))


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9", "1.19"),
        ("1.16.5.1488-deeb86e7f", "1.19.3"),
        ("1.19.2.2737", "1.19.3"),
        ("7.12", "7.13"),
        ("24.08", "24.09"),
        ("138.0.7204.100", "138.0.7204.157"),
    ],
)
def test_older(older: str, newer: str) -> None:
    assert is_older("dotted", older, newer)
    assert not is_older("dotted", newer, older)


@pytest.mark.parametrize("fixed", ["1.19.3.2764-ef515a800", "1.19.3", "1.42.1.10060", "2"])
def test_mended(fixed: str) -> None:
    assert not is_older("dotted", fixed, "1.19.3")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1.2",
        "1.2 ",
        "1..2",
        ".1",
        "1.",
        "v1.2",
        "1.2a",
        "unknown",
        "-1",
        "1,2",
        "1.2\n",
        "\u0661.2",
        "\uff11.2",
        "1.2\u200b",
        "1.2_251",
        "9" * 11,
        "1." * 8 + "1",
        "1-" + "a" * MAX_VERSION,
    ],
)
def test_unparsable_has_no_order(text: str) -> None:
    with pytest.raises(Unparsable):
        is_older("dotted", text, "1.0")
    with pytest.raises(Unparsable):
        is_older("dotted", "1.0", text)


@given(NUMBERS, NUMBERS)
def test_dotted_is_the_order_of_padded_tuples(left: list[int], right: list[int]) -> None:
    a, b = left + [0] * (8 - len(left)), right + [0] * (8 - len(right))
    assert compare("dotted", _text(left), _text(right)) == (a > b) - (a < b)


@given(NUMBERS, st.integers(0, 7), st.integers(1, 10**5))
def test_a_larger_number_at_any_place_is_newer(numbers: list[int], at: int, more: int) -> None:
    at %= len(numbers)
    larger = numbers.copy()
    larger[at] = min(larger[at] + more, 10**7)
    assert is_older("dotted", _text(numbers), _text(larger))


@given(st.text(max_size=80), st.sampled_from(["dotted", "deb"]))
def test_any_text_has_an_order_or_is_unparsable(text: str, scheme: Scheme) -> None:
    try:
        assert compare(scheme, text, text) == 0
    except Unparsable:
        return
    assert text.isascii()


DEB = st.from_regex(r"\A([0-2]:)?[0-9][0-9a-c.+~]{0,6}(-[0-9a-b.+~]{1,4})?\Z")


@given(DEB, DEB, DEB)
def test_debs_are_in_one_order(a: str, b: str, c: str) -> None:
    assert compare("deb", a, b) == -compare("deb", b, a)
    if compare("deb", a, b) <= 0 and compare("deb", b, c) <= 0:
        assert compare("deb", a, c) <= 0


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0~rc1", "1.0"),
        ("1.0", "1.0-1"),
        ("1.0-1", "1.0-1+deb12u1"),
        ("2.36-9+deb12u3", "2.36-9+deb12u10"),
        ("9.9", "1:0.1"),
        ("1.0a", "1.0+"),
    ],
)
def test_deb_table(older: str, newer: str) -> None:
    assert is_older("deb", older, newer)
    assert not is_older("deb", newer, older)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="needs dpkg")
@settings(max_examples=60, deadline=None)
@given(DEB, DEB)
def test_deb_agrees_with_dpkg(left: str, right: str) -> None:
    for word, expected in (("lt", -1), ("eq", 0), ("gt", 1)):
        run = subprocess.run(
            ["dpkg", "--compare-versions", left, word, right], check=False, capture_output=True
        )
        assert (run.returncode == 0) == (compare("deb", left, right) == expected)


def test_a_cycle_is_whole_numbers() -> None:
    assert begins_with("15.7.4", "15")
    assert not begins_with("15.7.4", "1")
    assert begins_with("10.0.26100.2033", "10.0.26100")
    assert not begins_with("10", "10.0")
