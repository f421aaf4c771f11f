"""Listings of folders of any size, in turns of the loop: names are decrypted one by one.

A small folder is listed at once. A name that was there all the time is listed once; names that come
or go meanwhile may be missing or present, as if the listing had been made before or after.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from ironkeep.core.errors import TooLarge
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.pauses import Pauses, in_turns
from ironkeep.plugin.response import Response, listing
from ironkeep.store.barrier import MAX_LISTED, Store

PAGE: Final = 256
"""Names decrypted in one turn, some 8 µs each."""


def list_folder(
    call: Call, store: Store, prefix: str, name_of: Callable[[str], str] = str
) -> Response | Suspend:
    """Return the answer to a listing of the folder prefix, or suspend the request until then.

    `store` must belong to a transaction without writes in the folder. `name_of` makes the listed
    name from a stored one. Raise TooLarge past MAX_LISTED names.
    """
    steps = _sorted(map(name_of, store.names_inside(prefix)))
    return in_turns(call, steps, lambda _call, names: listing(names))


def _sorted(names: Iterator[str]) -> Pauses[list[str]]:
    """Collect and sort names; equal runs are merged as they come, so that no sort is long."""
    runs, count = list[list[str]](), 0
    while page := sorted(islice(names, PAGE)):
        runs.append(page)
        count += len(page)
        if count > MAX_LISTED:
            raise TooLarge(f"the folder has more than {MAX_LISTED} names: divide it into folders")
        if len(page) < PAGE:
            break
        yield
        while len(runs) > 1 and len(runs[-1]) >= len(runs[-2]):
            _merge(runs)
            yield
    while len(runs) > 1:
        _merge(runs)
        yield
    return runs[0] if runs else []


def _merge(runs: list[list[str]]) -> None:
    """Merge the last two runs: sorting two sorted runs in a row takes one comparison a name."""
    last = runs.pop()
    runs[-1] = sorted(runs[-1] + last)
