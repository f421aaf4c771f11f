r"""A meter of what a parser costs: time and memory in proportion to the bytes that it was given.

    require(Parser("api.http.wire:parse_json", wire.parse_json, (b"@", b'{"a":@}')))

A parser is fed the worst inputs of its grammar: long repetitions of each unit that means something
in it, each also with an end that spoils the match (a near miss is what makes a pattern backtrack).
Time is that of the processor and is compared between sizes, never with a clock's; noise on a loaded
machine is in the margins. Whatever it raises must be an error of ours, which answers with a 4xx.
"""

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ironkeep.core.errors import IronkeepError

SIZES: Final = 4
"""Each twice as large as the one before."""
MOST: Final = 1 << 16
"""Bytes of the largest input where a parser has no lower limit of its own."""
FREE_SECONDS: Final = 0.001
FREE_SECONDS_A_BYTE: Final = 1.5e-7
"""What costs less at the largest size is linear with a small constant: a square of 64 KiB takes
seconds, at a nanosecond a step."""
SECONDS_A_BYTE: Final = 1e-6
"""The largest constant: 64 KiB may cost 66 ms on a loaded machine."""
MARGIN: Final = 2.5
"""For noise: eight times the bytes cost at most so many times eight times the time; a square costs
eight times eight."""
ROUNDS: Final = 5
FREE_BYTES: Final = 4 << 20
BYTES_A_BYTE: Final = 48
"""Of memory at the peak: the smallest value in JSON has three bytes, and an empty object 64."""

UNITS: Final[tuple[bytes, ...]] = (
    b"a", b"1", b"0", b"A", b"-", b".", b"/", b":", b",", b"=", b"&", b" ", b"\t", b"\n", b"\r\n",
    b'"', b"'", b"\\", b"[", b"{", b"(", b"%", b"+", b"_", b"@",
    b"a:", b"a: b\r\n", b"a=b&", b"a.", b"1.", b"a ", b" =", b"%41", b"%25", b"../", b"x/",
    b"\\u0041", b"\\ud800", b'\\"', b"[]," , b"{},", b'""', b'"a":', b'{"a":', b'{"a":1},', b"1,",
    b"a,", b"a\n", b"\n\n", b"\xe2\x80\x94 a b\n", b"-----BEGIN A-----\n", b"1h", b"1e", b"::",
    b"\x00", b"\x01", b"\x30\x80", b"\x81", b"\x9f", b"\xa1\x00", b"\x5f", b"\x80", b"\xff",
    b"\xc3\xa9", b"\xf0\x9f\x98\x80",
)  # fmt: skip
"""Every unit that one of our grammars repeats: names, digits, separators, escapes, nesting."""
ENDS: Final[tuple[bytes, ...]] = (b"", b"\x80")
"""Nothing, and what spoils a match at its very end."""


@dataclass(frozen=True)
class Parser:
    """Something that takes bytes. `@` in a template is where the repetition goes.

    `most` is the largest input that is fed: some bytes past the parser's own limit, if it has one.
    """

    name: str
    run: Callable[[bytes], object]
    templates: tuple[bytes, ...] = (b"@",)
    most: int = MOST


class Dear(AssertionError):
    """A parser that costs more than its bytes may."""


def inputs(parser: Parser, units: tuple[bytes, ...] = UNITS) -> Iterator[Callable[[int], bytes]]:
    """Yield what makes an input of a given size, for each template, unit and end."""
    for template in parser.templates:
        front, _, back = template.partition(b"@")
        for unit in units:
            for end in ENDS:

                def make(
                    size: int, front: bytes = front, unit: bytes = unit, end: bytes = end + back
                ) -> bytes:
                    room = max(size - len(front) - len(end), len(unit))
                    return front + unit * (room // len(unit)) + end

                yield make


def require(parser: Parser) -> None:
    """Feed parser all of its inputs; raise Dear when one costs too much."""
    for make in inputs(parser):
        require_time(parser, make)
    for template in parser.templates:
        front, _, back = template.partition(b"@")
        for unit in UNITS:
            room = max(parser.most - len(front) - len(back), len(unit))
            require_memory(parser, front + unit * (room // len(unit)) + back)


def require_time(parser: Parser, make: Callable[[int], bytes]) -> None:
    """Raise Dear when time grows faster than bytes, or has a large constant."""
    data = make(parser.most)
    free = max(FREE_SECONDS, FREE_SECONDS_A_BYTE * len(data))
    if _seconds(parser, data) < free:
        return
    largest = _least(parser, data)
    if largest < free:
        return
    shown = f"{parser.name}: {data[:40]!r}… of {len(data)} bytes takes {largest * 1000:.1f} ms"
    if largest > len(data) * SECONDS_A_BYTE + free:
        raise Dear(f"{shown}, more than {SECONDS_A_BYTE * 1e6:.0f} µs a byte")
    steps = 1 << (SIZES - 1)
    smaller = [_least(parser, make(parser.most // (steps >> step))) for step in range(SIZES - 1)]
    growth = largest / max(smaller[0], 1e-7)
    if growth > steps * MARGIN:
        listed = ", ".join(f"{each * 1000:.2f}" for each in (*smaller, largest))
        raise Dear(f"{shown}, {growth:.0f} times what an eighth of it takes: {listed} ms")


def require_memory(parser: Parser, data: bytes) -> None:
    """Raise Dear when the peak of memory is not a small multiple of the bytes."""
    tracemalloc.start()
    try:
        _call(parser, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if peak > FREE_BYTES + BYTES_A_BYTE * len(data):
        raise Dear(f"{parser.name}: {data[:40]!r}… of {len(data)} bytes takes {peak} of memory")


def _least(parser: Parser, data: bytes) -> float:
    return min(_seconds(parser, data) for _ in range(ROUNDS))


def _seconds(parser: Parser, data: bytes) -> float:
    enabled = gc.isenabled()
    gc.disable()
    try:
        began = time.process_time()
        _call(parser, data)
        return time.process_time() - began
    finally:
        if enabled:
            gc.enable()


def _call(parser: Parser, data: bytes) -> None:
    try:
        parser.run(data)
    except IronkeepError:
        return
