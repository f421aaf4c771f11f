"""The views of a case, computed where its evidence is: in the journal's process.

    case        counts and the outcome, as part of its summary
    exposure    what was read, could be read and could be reached, each row with its reason
    verdict     the verdict with all claims and open items
    steps       the next steps, in order

An answer is the JSON that the client gets. The case of somebody who may read all of 100,000 secrets
takes seconds of CPU: beside the server's loop, they would be taken from all other requests.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.claim import Status
from ironkeep.core.evidence.exposure import Exposed
from ironkeep.core.evidence.headline import headline, is_past, later_than
from ironkeep.core.evidence.node import CREDENTIALS, kind_of
from ironkeep.core.evidence.reach import FOREVER
from ironkeep.core.evidence.verdict import Claim, Item, Verdict, Waiting, decide_on
from ironkeep.core.text.goformat import rfc3339
from ironkeep.incident.evidence.gathering import About, gathered
from ironkeep.incident.evidence.next_steps import CONFIRM, NEXT_STEPS
from ironkeep.journal.questions import Context, Steps

MAX_ROWS: Final = 10_000
"""Rows of one list in an answer; the counts always include all."""

_OF_READABLE: Final = frozenset({"not surveyed", "not known", "origin unknown"})
"""The checks that find that it is not known in full what could be read."""


class Asked(msgspec.Struct, frozen=True):
    """A view as the journal's process is asked for it, with what only the server knows of its log.

    `cosigners` and `cosigned_ns` are those of the newest head that a quorum has cosigned, and
    `witnessed` is its size; 0 if there is none. Times are POSIX nanoseconds.
    """

    view: str
    about: About
    cosigners: tuple[str, ...]
    cosigned_ns: int
    witnessed: int
    now_ns: int


class Judged(NamedTuple):
    """A case file with its verdict."""

    asked: Asked
    file: CaseFile
    verdict: Verdict


def view(context: Context, about: Mapping[str, Any]) -> Steps:
    """Return a view of a case as JSON; `about` is an `Asked`.

    Raises InvalidRequest for the exposure of a case that the log does not have at that time.
    """
    asked = msgspec.convert(about, Asked)
    window, file = yield from gathered(context, asked.about)
    log = msgspec.structs.replace(
        file.log,
        withheld=window.withheld,
        late=window.late,
        cosigners=asked.cosigners,
        cosigned_ns=asked.cosigned_ns,
    )
    file = file.under(log)
    file.rows  # noqa: B018 - computes and caches the rows
    yield
    judged = Judged(asked, file, decide_on(file))
    yield
    return msgspec.json.encode(_VIEWS[asked.view](judged))


def _case(judged: Judged) -> dict[str, Any]:
    file, missing = judged.file, _not_worked_out(judged.verdict)
    return {
        "subjects": [file.estate.label(each) for each in file.case.subjects],
        "bases": file.case.bases,
        "exposed": {
            "credentials": len(file.credentials) or (None if missing else 0),
            "principals": len(file.principals),
            "systems": len(file.systems),
        },
        "not_worked_out": missing,
        "outcome": str(judged.verdict.outcome),
        "open_items": len(judged.verdict.open_items()),
    }


def _exposure(judged: Judged) -> dict[str, Any]:
    file = judged.file
    if file.case.opening is None:
        raise InvalidRequest(
            "the log had no such case at that time, so it says nothing about its exposure: open a "
            "case of an earlier epoch again"
        )
    states = {str(each.node): str(each.state) for each in judged.verdict.credentials}
    answers = {
        "did_read": file.exposure.did_read,
        "could_read": file.exposure.could_read,
        "could_reach": file.exposure.could_reach,
    }
    data: dict[str, Any] = {
        name: [_row(file, row, states) for row in rows[:MAX_ROWS]] for name, rows in answers.items()
    }
    data["counts"] = {name: len(rows) for name, rows in answers.items()}
    data["not_worked_out"] = missing = _not_worked_out(judged.verdict)
    if missing and not file.exposure.could_read:
        # Nothing was found yet, which is another answer than nothing.
        data["counts"]["could_read"] = None
    data["as_of"] = when(file.as_of_ns)
    return data


def _row(file: CaseFile, row: Exposed, states: Mapping[str, str]) -> dict[str, Any]:
    why = [
        {
            "from": file.estate.label(step.source),
            "by": str(step.kind),
            "to": file.estate.label(step.target),
            "at": when(step.at_ns),
            "evidence": step.evidence,
        }
        for step in row.why
    ]
    shown: dict[str, Any] = {
        "node": row.node,
        "label": file.estate.label(row.node),
        "kind": str(kind_of(row.node)),
        "exposed": when(row.exposed_ns),
        "in_clear": when(row.in_clear_ns),
        "why": why,
    }
    if kind_of(row.node) in CREDENTIALS:
        shown["state"] = states.get(row.node, "exposed")
    return shown


def _verdict(judged: Judged) -> dict[str, Any]:
    asked, file, verdict = judged.asked, judged.file, judged.verdict
    found = verdict.open_items()
    data: dict[str, Any] = msgspec.to_builtins(_cut(verdict))
    later = later_than(file.evidence)
    past = is_past(later, file.as_of_ns, asked.now_ns)
    data["later"], data["past"] = later, past
    data["headline"] = headline(verdict.outcome, verdict.tally, file.as_of_ns, later, past=past)
    data["open_items"] = [_item(each) for each in found[:MAX_ROWS]]
    data["log_size"] = file.log.size
    data["witnessed_size"] = asked.witnessed
    data["counts"] = {
        "open_items": len(found),
        "exemptions": len(verdict.exemptions),
        "waiting": len(verdict.waiting),
        "credentials": len(verdict.credentials),
        "residue": len(verdict.residue),
        "claims": {
            str(each.id): {
                "items": len(each.items), "entries": len(each.entries), "sworn": len(each.sworn),
            }
            for each in verdict.claims
        },
    }  # fmt: skip
    return data


def _cut(verdict: Verdict) -> Verdict:
    """Return a verdict with the first MAX_ROWS of each list."""

    def cut(of: Claim | Verdict, *names: str) -> dict[str, Sequence[Any]]:
        return {name: getattr(of, name)[:MAX_ROWS] for name in names}

    claims = tuple(
        msgspec.structs.replace(each, **cut(each, "items", "entries", "sworn"))
        for each in verdict.claims
    )
    lists = cut(verdict, "exemptions", "waiting", "credentials", "residue")
    return msgspec.structs.replace(verdict, claims=claims, **lists)


def _steps(judged: Judged) -> dict[str, Any]:
    asked, file, verdict = judged
    todo = [(NEXT_STEPS[each.check], _item(each)) for each in verdict.open_items()]
    todo += [(CONFIRM, _exemption(each)) for each in verdict.waiting]
    todo.sort(key=lambda one: (one[0].order, one[1]["label"]))
    content = _told(file)
    found = [
        {
            "step": step.order,
            "do": step.do.format(case=asked.about.case),
            **item,
            "stated": content.get(item["item"], "") if step is CONFIRM else "",
        }
        for step, item in todo[:MAX_ROWS]
    ]
    return {"outcome": str(verdict.outcome), "steps": found}


def _item(item: Item) -> dict[str, Any]:
    return {
        "item": item.subject,
        "label": item.label,
        "check": item.check,
        "status": str(item.status),
        "words": item.words,
    }


def _exemption(waiting: Waiting) -> dict[str, Any]:
    """Return an exemption that waits for a second person, as one more item of the steps."""
    statement = f"entry:{waiting.entry}"
    return {
        "item": statement,
        "label": statement,
        "check": "exemption waits",
        "status": str(Status.OPEN),
        "words": waiting.words,
    }


def _told(file: CaseFile) -> dict[str, str]:
    """Return the content of each statement of people, by its entry (`entry:17`), in words."""
    found = dict[str, str]()
    for exempted in file.filed(ev.Exempted):
        record = exempted.record
        words = f"{record.owner}: {record.reason} (until {when(record.expires_ns)})"
        found[f"entry:{exempted.index}"] = words
    for explained in file.filed(ev.Explained):
        found[f"entry:{explained.index}"] = f"{explained.record.owner}: {explained.record.reason}"
    for checked in file.filed(ev.RootChecked):
        found[f"entry:{checked.index}"] = checked.record.detail
    for revoked in file.filed(ev.Revoked):
        record_of = revoked.record
        words = f"{record_of.method} (receipt: {record_of.receipt})"
        found[f"entry:{revoked.index}"] = words
    return found


def _not_worked_out(verdict: Verdict) -> list[str]:
    """Return what nobody knows yet of that which could be read, in words."""
    return [
        f"{item.label}: {item.words}" for item in verdict.open_items() if item.check in _OF_READABLE
    ]


def when(time_ns: int) -> str | None:
    """Return a time in RFC 3339; None for 0 and FOREVER."""
    return rfc3339(time_ns) if 0 < time_ns < FOREVER else None


_VIEWS: Final[Mapping[str, Callable[[Judged], dict[str, Any]]]] = {
    "case": _case, "exposure": _exposure, "verdict": _verdict, "steps": _steps,
}  # fmt: skip
