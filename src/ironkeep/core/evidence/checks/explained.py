"""Explanations: which of a sweep's differences, and of the vault's own entries, are answered for.

An explanation comes after what it explains, from somebody who is not exposed, in the same case. One
of a difference stays good for as long as every later sweep finds the difference: what was removed
and is there again was put there again.
"""

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.activity import actors_of
from ironkeep.core.evidence.casefile import CaseFile, Filed


def explained_entries(file: CaseFile) -> dict[str, int]:
    """Return the last entry that explains each item `entry:<index>`."""
    answered = (each for each in file.filed(ev.Explained) if is_answered(file, each))
    return {each.record.item: each.index for each in answered if not each.record.system}


def is_explained(file: CaseFile, system: str, item: str) -> bool:
    """Return whether a difference of the last sweeps of a system is explained, at each host."""
    since: dict[str, int] = {}
    for sweep in file.about(ev.Swept, "", system):
        record = sweep.record
        if item in {*record.added, *record.changed, *record.removed}:
            since.setdefault(record.endpoint, sweep.index)
        else:
            since.pop(record.endpoint, None)
    given = max(
        (
            each.index
            for each in file.about(ev.Explained, "", system)
            if each.record.item == item and is_answered(file, each)
        ),
        default=-1,
    )
    return bool(since) and given > max(since.values())


def is_answered(file: CaseFile, each: Filed[ev.Explained]) -> bool:
    """Return whether an explanation has an owner and a reason, is of this case, and counts.

    An explanation from another case does not count: the item may have been added again.
    """
    record = each.record
    given = record.case == file.name and record.owner.strip() and record.reason.strip()
    return bool(given) and not any(
        file.is_out(actor, each.index) for actor in actors_of(each.entry)
    )
