"""Writes figures into docs/performance.md, each table between two marks of its own."""

from pathlib import Path
from typing import Any

BEGIN = "<!-- figures: written by bench/run.py --page -->"
END = "<!-- end of figures -->"
HEAD = """| work | transport | clients | a second | p50 ms | p99 ms | CPU us | beside | to hello |
|---|---|--:|--:|--:|--:|--:|--:|--:|
"""


def fill(page: Path, found: dict[str, Any]) -> None:
    """Write the figures of run.py."""
    put(page, BEGIN, END, f"{_where(found)}\n\n{HEAD}{_rows(found)}\n{_other(found)}")


def put(page: Path, begin: str, end: str, figures: str) -> None:
    """Replace the text between two marks of page; raise ValueError if page lacks them."""
    text = page.read_text(encoding="utf-8")
    before, opened, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ValueError(f"{page} lacks the marks {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{figures}\n\n{end}{after}", encoding="utf-8")


def _where(found: dict[str, Any]) -> str:
    machine = found["machine"]
    return (
        f"{machine['cpus']} CPUs, Python {machine['python']}, {found['seconds']} s per line; load "
        f"average at the end {', '.join(map(str, machine['load']))} (the server and the client "
        "cause about 2; a higher load is other work on the same machine, which costs throughput "
        "and latency, and about doubles the CPU of a request)."
    )


def _rows(found: dict[str, Any]) -> str:
    lines = []
    for one in found["results"]:
        ratio = f"{one['of_hello']:.2f}" if one["of_hello"] else ""
        lines.append(
            f"| {one['work']} | {one['transport']} | {one['connections']} | "
            f"{one['per_second']:,.0f} | {one['p50_ms']:.2f} | {one['p99_ms']:.2f} | "
            f"{one['cpu_us']:,.1f} | {one['beside_us']:,.1f} | {ratio} |\n"
        )
    return "".join(lines)


def _other(found: dict[str, Any]) -> str:
    boot, verify = found["boot_seconds"], found["verify"]
    return (
        f"Start to first answer: {boot['first']:.2f} s with an empty directory, "
        f"{boot['next']:.2f} s with the data in it. Offline verification: "
        f"{verify['entries']:,} entries at {verify['per_second']:,} a second of CPU time."
    )
