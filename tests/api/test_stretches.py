"""The watchdog names long stretches, seldom, and costs short ones nothing."""

from ironkeep.api.stretches import LONG_NS, NOTED_NS, Stretches, clock, cpu_clock


def test_a_long_stretch_is_named_and_logged_once_in_a_while() -> None:
    said: list[str] = []
    stretches = Stretches(said.append)
    for _ in range(3):
        stretches.took("read kv: data/{path...}", clock() - LONG_NS)
    assert len(said) == 1
    assert "read kv: data/{path...}" in said[0]
    stretches.took("due work", clock() - LONG_NS)
    assert len(said) == 2


def test_the_longest_come_first() -> None:
    stretches = Stretches()
    for name, took in (("a", 3), ("b", 9), ("a", 5), ("c", 4)):
        stretches.took(name, clock() - took * NOTED_NS)
    found = stretches.longest(2)
    assert [name for name, _ in found] == ["b", "a"]
    assert 5 * NOTED_NS <= found[1][1] < 6 * NOTED_NS + LONG_NS


def test_cpu_time_is_told_apart() -> None:
    stretches = Stretches()
    stretches.used("due work", cpu_clock() - 2 * NOTED_NS)
    assert [name for name, _ in stretches.longest(9)] == ["due work (CPU)"]


def test_a_short_stretch_is_not_even_named() -> None:
    stretches = Stretches()
    named: list[str] = []

    def name() -> str:
        named.append("")
        return ""

    stretches.took(name, clock())
    assert stretches.longest(9) == []
    assert named == []
