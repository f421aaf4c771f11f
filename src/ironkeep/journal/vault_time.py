"""The vault's time: it starts from the log, goes on with the steady clock, and follows the wall.

The machine's time of day (the wall) can be set by an administrator, a hypervisor or a false time
source. The vault looks at it about once a second:

    up to TOLERANCE_NS apart    the vault's time approaches the wall, at most SLEW_PPM off its rate
    further apart               the step is reported, and the vault's time ignores the wall until it
                                comes back, the witnesses' signed times confirm it, or an operator
                                accepts it

The vault's time never runs back, also over restarts: it starts after the latest entry of the log,
the mark of an idle server (TimeMark) and the witnesses' signed times. A wall that is ahead of them
counts as the time that the server was down, unless it is ahead by more than is plausible.
"""

import hmac
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import CLOCK_BACK, CLOCK_SET, CLOCK_STEP, Value
from ironkeep.core.logport import LogFiles
from ironkeep.core.ports import MachineClocks
from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import duration, rfc3339
from ironkeep.core.units import SECOND_NS

TOLERANCE_NS: Final = 2 * SECOND_NS
"""Difference from the wall that is followed smoothly; NTP corrects less without a step."""

SLEW_PPM: Final = 5_000
"""Largest deviation of the vault's rate from the steady clock's: a lifetime errs by 0.5 %."""

CLOSE_NS: Final = SECOND_NS // 100
"""Difference that is left alone: a clock that need not be corrected is the cheapest to read."""

APPROACH_NS: Final = 60 * SECOND_NS
"""Time in which a small difference is made up."""

DOWN_NS: Final = 31 * 86_400 * SECOND_NS
"""Longest time that a server without witnesses has been down on the wall's word alone.

It is the longest default lifetime: with a false wall, all tokens would be gone for good.
"""

WITNESSED_DOWN_NS: Final = 86_400 * SECOND_NS
"""The same with witnesses, whose first cosignature confirms a longer time within seconds."""

LAG_NS: Final = 10 * SECOND_NS
"""Longest time from a witness's signature to its arrival here."""

MARK_NS: Final = 60 * SECOND_NS
"""Longest time without an entry or a mark: a step back of more is noticed by the next start."""

_MARK: Final = "time"
_TIME_BYTES: Final = 8
_MAC_BYTES: Final = 32
_MARK_BYTES: Final = _TIME_BYTES + _MAC_BYTES
_MILLION: Final = 1_000_000

_Line = tuple[int, int, int, int]
"""(base, origin, ppm, most): the time is base at the steady clock's origin, and goes on from there
at its rate plus ppm, until the correction is most."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change in how the vault's time relates to the wall; `op` names its entry.

    `before_ns` is the vault's time, `after_ns` the time that it takes or, for a wall that is not
    followed, the wall's.
    """

    op: str
    words: str
    before_ns: int
    after_ns: int

    @property
    def audited(self) -> dict[str, Value]:
        """The facts of the journal's entry."""
        return {
            "offset_ns": self.after_ns - self.before_ns,
            "before": rfc3339(self.before_ns),
            "after": rfc3339(self.after_ns),
        }


class VaultTime:
    """The vault's clock (core.ports.Clock), made of the machine's clocks; any thread may read it.

    `floor_ns` is the latest time that the log and the witnesses vouch for, 0 for a new log;
    `down_ns` is the longest plausible time since then. All methods but `now_ns` belong to the loop.
    """

    def __init__(self, machine: MachineClocks, floor_ns: int = 0, down_ns: int = DOWN_NS) -> None:
        self._machine: Final = machine
        self._steady: Final = machine.steady_ns
        wall = machine.wall_ns()
        followed = not floor_ns or floor_ns <= wall <= floor_ns + down_ns
        first = wall if followed else floor_ns + 1
        self._line: _Line | None = (first, machine.steady_ns(), 0, 0)
        # A wall behind at the start says nothing of the time down, and may still come to it.
        behind = bool(floor_ns) and wall < floor_ns
        self._down: tuple[int, int] | None = (
            (floor_ns + down_ns, machine.steady_ns()) if behind else None
        )
        self._evidence: tuple[int, int] | None = None
        self._reported: int | None = None
        self._approaching = False

    def now_ns(self) -> int:
        """Return the vault's time; never less than any value returned before."""
        while True:
            line = self._line
            if line is not None:
                now = _on(line, self._steady())
                # A thread that was suspended here must not return a value of a line of before.
                if line is self._line:
                    return now

    def look(self) -> Step | None:
        """Compare with the wall, and approach it or report a step; call about once a second."""
        now, wall = self.now_ns(), self._machine.wall_ns()
        offset = wall - now
        if abs(offset) <= TOLERANCE_NS:
            self._approaching, self._down = False, None
            close = abs(offset) <= CLOSE_NS
            self._slew(offset, 0 if close else offset * _MILLION // APPROACH_NS)
            return self._came_back(now, wall)
        if 0 < offset <= self._on_from(self._evidence) + LAG_NS - now:
            return self._set(now, wall, "the witnesses' signed times confirm the machine's clock")
        if 0 < offset <= self._on_from(self._down) - now:
            return self._set(now, wall, "the machine's clock, behind at the start, came forward")
        self._slew(offset, -SLEW_PPM if self._approaching and offset < 0 else 0)
        if self._reported is not None and abs(offset - self._reported) <= TOLERANCE_NS:
            return None
        if self._approaching and self._reported is not None and self._reported < offset < 0:
            self._reported = offset
            return None
        self._reported, self._approaching = offset, False
        return Step(CLOCK_STEP, self.problem, now, wall)

    def witnessed(self, time_ns: int) -> None:
        """Take a time that a quorum of the witnesses has signed."""
        if self._evidence is None or time_ns > self._evidence[0]:
            self._evidence = time_ns, self._steady()

    def raise_to(self, time_ns: int) -> None:
        """Continue after time_ns: the log turned out to have an entry of that time."""
        now = self.now_ns()
        if time_ns >= now:
            self._draw(time_ns + 1, 0, 0)

    def accept(self, why: str) -> Step | None:
        """Take the wall for right, on an operator's word; None if the two agree.

        A wall ahead sets the vault's time forward at once. The vault's time never goes back to a
        wall behind: it runs SLEW_PPM slower until the two meet.
        """
        now, wall = self.now_ns(), self._machine.wall_ns()
        if abs(wall - now) <= TOLERANCE_NS:
            return None
        if wall > now:
            return self._set(now, wall, why)
        self._approaching, self._reported = True, wall - now
        return Step(
            CLOCK_STEP, f"the vault's time runs slower until the clocks meet: {why}", now, wall
        )

    @property
    def offset_ns(self) -> int:
        """The wall's time less the vault's."""
        return self._machine.wall_ns() - self.now_ns()

    @property
    def wall_ns(self) -> int:
        """The wall's time."""
        return self._machine.wall_ns()

    @property
    def approaching(self) -> bool:
        """Whether an operator accepted a wall behind the vault's time, which slowly meets it."""
        return self._approaching

    @property
    def problem(self) -> str:
        """The reported difference from the wall in words; "" without one."""
        if self._reported is None:
            return ""
        way = "ahead of" if self._reported > 0 else "behind"
        text = f"the machine's clock is {_long(self._reported)} {way} the vault's time"
        if self._approaching:
            return f"{text}, which runs slower until the two meet"
        return f"{text}, which does not follow it (`ironkeep operator clock`)"

    def _on_from(self, known: tuple[int, int] | None) -> int:
        """Return a time that was true at an instant of the steady clock, as it is now; or 0."""
        return 0 if known is None else known[0] + self._steady() - known[1]

    def _set(self, now: int, wall: int, why: str) -> Step:
        self._draw(wall, 0, 0)
        self._reported, self._approaching, self._down = None, False, None
        words = f"the vault's time was set forward by {_long(wall - now)}: {why}"
        return Step(CLOCK_SET, words, now, wall)

    def _came_back(self, now: int, wall: int) -> Step | None:
        if self._reported is None:
            return None
        self._reported = None
        return Step(CLOCK_BACK, "the machine's clock agrees with the vault's time again", now, wall)

    def _slew(self, offset: int, ppm: int) -> None:
        self._draw(0, max(-SLEW_PPM, min(ppm, SLEW_PPM)), abs(offset))

    def _draw(self, least_ns: int, ppm: int, most: int) -> None:
        """Go on from now, or from least_ns if that is later, at a rate of ppm."""
        line = self._line
        assert line is not None
        # While there is no line, other threads wait: none may return a value past the new base.
        drawn, self._line = line, None
        try:
            steady = self._steady()
            drawn = (max(_on(line, steady), least_ns), steady, ppm, most)
        finally:
            self._line = drawn


class TimeMark:
    """The file `time` of a log, which tells how late it was while nothing was logged.

    It has the vault's time in nanoseconds (8 bytes) and a MAC of it under a key of the log's own.
    """

    def __init__(self, files: LogFiles, key: Secret) -> None:
        self._files: Final = files
        self._key: Final = key
        self.time_ns = self._read()

    def write(self, now_ns: int, latest_ns: int, *, last: bool = False) -> None:
        """Write now_ns if the log and the mark are MARK_NS behind it, or if it is the last time."""
        if last or now_ns - max(latest_ns, self.time_ns) >= MARK_NS:
            self._files.replace(_MARK, self._vouched(now_ns))
            self.time_ns = now_ns

    def _read(self) -> int:
        try:
            data = self._files.read(_MARK, 0, _MARK_BYTES)
        except FileNotFoundError:
            return 0
        time_ns = int.from_bytes(data[:_TIME_BYTES], "big")
        if not hmac.compare_digest(data, self._vouched(time_ns)):
            raise IntegrityError(
                f"the file {_MARK!r} of the log was not written by its server: keep a copy as "
                "evidence and remove it; the vault's time then starts from the latest entry"
            )
        return time_ns

    def _vouched(self, time_ns: int) -> bytes:
        data = time_ns.to_bytes(_TIME_BYTES, "big")
        return data + blake2b(data, key=self._key.reveal(), digest_size=_MAC_BYTES).digest()


def _on(line: _Line, steady_ns: int) -> int:
    """Return the time on a line at an instant of the steady clock."""
    base, origin, ppm, most = line
    passed = steady_ns - origin
    if not ppm:
        return base + passed
    return base + passed + max(-most, min(passed * ppm // _MILLION, most))


def _long(offset_ns: int) -> str:
    """Return the size of a difference in whole seconds as people read it."""
    return duration(abs(offset_ns) // SECOND_NS)
