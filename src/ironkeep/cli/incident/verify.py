"""`ironkeep verify`: check an evidence pack offline, without trusting its conclusions.

| exit code | meaning |
|-----------|---------|
| 0         | PROVEN, under the pinned keys |
| 3         | NOT PROVEN: the pack is sound, and its own verdict says so |
| 4         | DISPROVEN: the same |
| 5         | SELF-CONSISTENT: no keys were pinned, so any key may have signed it |
| 6         | refused: malformed, changed, or not signed by the pinned keys |
| 7         | PROVEN WITH EXCEPTIONS, under the pinned keys |
| 8         | PROVEN, with or without exceptions, as of a time after which more happened |

A statement of the reads of a secret (`ironkeep incident did-read`) is checked in the same way. It
gives 0 for NOT READ, 3 for NOT PROVEN and 4 for READ.
"""

import argparse
from pathlib import Path
from typing import Final

import msgspec

from ironkeep.cli.client.inputs import read_plain
from ironkeep.cli.command import Command, Context
from ironkeep.cli.incident import verdict_table as verdict_view
from ironkeep.cli.output import render
from ironkeep.cli.output.colours import painted
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.errors import IntegrityError, InvalidRequest, TooLarge
from ironkeep.core.evidence.packing import dsse
from ironkeep.core.evidence.packing.dsse import MAX_ENVELOPE
from ironkeep.core.evidence.packing.pack import VERSION
from ironkeep.core.text.goformat import rfc3339
from ironkeep.incident.verifier.reads import Answer, ReadsReport, verify_reads
from ironkeep.incident.verifier.statement import is_reads
from ironkeep.incident.verifier.trust import TrustedKeys
from ironkeep.incident.verifier.verifier import Level, Report, verify_pack

SELF_CONSISTENT: Final = 5
REFUSED: Final = 6

_ANSWERS: Final = {Answer.NOT_READ: 0, Answer.NOT_PROVEN: 3, Answer.READ: 4}

_MAX_TRUST: Final = 1 << 18
"""Bytes read of a trust file; its own limit is lower."""

_WARNING: Final = (
    "No keys were pinned, so an attacker could have made this pack with keys of their own. Get the "
    "trust file from a source that you trust (`ironkeep incident trust`), and give it with -trust."
)


def _verify(context: Context) -> int:
    args, terminal = context.args, context.terminal
    trust = TrustedKeys.parse(read_plain(Path(args.trust), _MAX_TRUST)) if args.trust else None
    try:
        raw = _pack(Path(args.pack))
        report = verify_reads(raw, trust) if _has_reads(raw) else verify_pack(raw, trust)
    except IntegrityError as error:
        return _refused(terminal, error)
    if terminal.structured:
        render.as_json(terminal, msgspec.to_builtins(report))
    elif isinstance(report, ReadsReport):
        _show_reads(terminal, report)
    else:
        _show(terminal, report)
    if report.level is not Level.VERIFIED:
        terminal.note(_WARNING)
        return SELF_CONSISTENT
    if isinstance(report, ReadsReport):
        return _ANSWERS[report.answer]
    return verdict_view.exit_code(report.verdict.outcome, past=report.past)


def _has_reads(raw: bytes) -> bool:
    """Return whether a file claims to be a statement of reads; its checks come later."""
    try:
        return is_reads(dsse.decode(raw))
    except IntegrityError:
        return False


def _refused(terminal: Terminal, error: IntegrityError) -> int:
    if terminal.structured:
        render.as_json(terminal, {"level": "REFUSED", "reason": str(error)})
    else:
        terminal.say(painted("REFUSED"), f": {error}")
    return REFUSED


def _show_reads(terminal: Terminal, report: ReadsReport) -> None:
    witnesses = ", ".join(report.cosigners) or "no witness"
    span = f"{rfc3339(report.from_ns)} to {rfc3339(report.until_ns)}"
    terminal.say("Signed:  ", painted(report.level), f", by {report.signer}")
    terminal.say(f"Log:     {report.origin}, {report.size} entries, cosigned by {witnesses}")
    # The proof is about the node; the label is the signer's word for it.
    terminal.say(f"Secret:  {report.secret}, called {report.label}, from {span}")
    terminal.say("Answer:  ", painted(report.answer))
    for words in report.open:
        terminal.say(f"Open:    {words}")
    rows = [
        (rfc3339(each.time_ns), str(each.version), each.name or each.accessor, each.remote)
        for each in report.reads
    ]
    if rows:
        render.table(terminal, ("Time", "Version", "By", "From"), rows)


def _show(terminal: Terminal, report: Report) -> None:
    witnesses = ", ".join(report.cosigners) or "no witness"
    lines = {
        "Pack": f"version {report.version}, signed by {report.signer}",
        "Log": f"{report.origin}, {report.size} entries, cosigned by {witnesses}",
        "Shown": (
            f"{report.disclosed} entries of the window, {report.earlier} earlier ones, "
            f"{report.withheld} withheld, {report.later} after the verdict's time"
        ),
        "Index": f"{report.indexed} leaves of the window are proven not to matter",
    }
    outcome = report.verdict.outcome
    terminal.say(
        painted(report.level), ": ", painted(outcome), report.headline.removeprefix(outcome)
    )
    for name, words in lines.items():
        terminal.say(f"{name + ':':<7} {words}")
    if report.version != VERSION:
        terminal.say(
            f"Note:   the pack itself says {report.stated}, by the rules of an earlier release"
        )
    terminal.say("")
    verdict_view.details(terminal, msgspec.to_builtins(report.verdict))


def _pack(path: Path) -> bytes:
    """Return the content of a pack's file; raise IntegrityError for what cannot be a pack."""
    try:
        return read_plain(path, MAX_ENVELOPE)
    except (InvalidRequest, TooLarge) as error:
        raise IntegrityError(str(error)) from None


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pack", metavar="PACK")
    parser.add_argument("--trust", metavar="FILE", help="the keys to pin: log, witnesses, packs")


VERIFY: Final = Command(
    "Verify an evidence pack offline: recompute its verdict from the entries that it discloses.",
    _verify,
    "PACK -trust=KEYS",
    "  $ ironkeep verify case-7.pack -trust=trusted-keys.txt\n"
    "  $ ironkeep verify case-7.pack -trust=trusted-keys.txt -format=json",
    _arguments,
    remote=False,
)
