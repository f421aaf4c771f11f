"""RequestHeads and forms from strangers: what they cost, and their limits."""

import time
from collections.abc import Callable

import pytest

from ironkeep.api.http import wire
from ironkeep.api.http.head import MAX_BLOCK, RequestHeads
from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.text.numbers import MAX_NUMBER

FORM = b"application/x-www-form-urlencoded"
ENDS = b"\x80\r\n"
SHAPES = {
    "names": lambda n: b"a:" * (n // 2) + ENDS,
    "one name": lambda n: b"a" * n + b"\r\n",
    "blanks": lambda n: b"a:" + b" " * n + ENDS,
    "tabs": lambda n: b"a:" + b"\t" * n + ENDS,
    "values and blanks": lambda n: b"a:" + b" b" * (n // 2) + ENDS,
    "blanks and tabs": lambda n: b"a: b" + b" \t" * (n // 2) + ENDS,
    "lines": lambda n: b"a:b\r\n" * (n // 5) + ENDS,
}


def cost(work: Callable[[], object]) -> float:
    """Return the processor time of one call in seconds, the best of some rounds."""
    best = 1e9
    for _ in range(5):
        began = time.process_time()
        for _ in range(20):
            work()
        best = min(best, (time.process_time() - began) / 20)
    return best


@pytest.mark.parametrize("shape", SHAPES)
def test_a_head_costs_time_in_proportion_to_its_bytes(shape: str) -> None:
    front = b"Host: x\r\n"
    plain = front + b"X-Filler: " + b"y" * (MAX_BLOCK - 40) + b"\r\n"
    block = front + SHAPES[shape](MAX_BLOCK - 60)
    assert len(block) <= MAX_BLOCK
    assert RequestHeads().find(plain) is not None
    assert RequestHeads().find(block) is None
    # A head of a hundred headers costs some twenty times one of the same size with two.
    assert cost(lambda: RequestHeads().find(block)) < 60 * cost(lambda: RequestHeads().find(plain))


@pytest.mark.parametrize("excess", [0, 1])
def test_a_form_has_so_many_bytes_and_no_more(excess: int) -> None:
    body = b"a=" + b"b" * (wire.MAX_FORM - 2 + excess)
    if excess:
        with pytest.raises(TooLarge, match="send JSON"):
            wire.parse_body(body, FORM)
    else:
        assert wire.parse_body(body, FORM) == {"a": body[2:].decode()}


@pytest.mark.parametrize("excess", [0, 1])
@pytest.mark.parametrize("form", ["%s", "-%s", "%s.5", "[%s]"])
def test_a_number_has_so_many_digits_and_no_more(form: str, excess: int) -> None:
    digits = "1" * (MAX_NUMBER + excess - len(form.replace("%s", "").strip("[]")))
    body = b'{"n":%b}' % (form % digits).encode()
    if excess:
        with pytest.raises(InvalidRequest):
            wire.parse_json(body)
    else:
        assert "n" in wire.parse_json(body)
