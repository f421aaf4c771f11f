"""The meeting point of the loop and the writer thread for one batch."""

import asyncio
import threading
from collections.abc import Callable
from typing import Final

from ironkeep.store.ledger import Batch

PATIENCE_SECONDS: Final = 0.001
"""Time for which the loop blocks for a batch of reads, which a good disk syncs in 0.1 ms.

While it blocks, the writer has the interpreter lock to itself, and the answers leave before more
requests are executed. A slow or hanging disk costs the loop no more than this.
"""


class Sync:
    """One batch on its way to the disk: the loop blocks for it briefly, or is called back."""

    __slots__ = ("_done", "_loop", "_turn", "_waited", "batch", "error")

    def __init__(self, batch: Batch, loop: asyncio.AbstractEventLoop) -> None:
        self.batch: Final = batch
        self.error: BaseException | None = None
        self._loop: Final = loop
        self._turn: Final = threading.Lock()
        # A commit takes longer: the loop executes the next batch meanwhile.
        self._waited = batch.commit is None
        self._done: Final = threading.Lock()
        self._done.acquire()

    def wait(self) -> bool:
        """Block the loop for PATIENCE_SECONDS; return False if the loop is called back instead."""
        if not self._waited:
            return False
        if self._done.acquire(timeout=PATIENCE_SECONDS):
            return True
        with self._turn:
            self._waited = False
            return self._done.acquire(blocking=False)

    def finish(self, callback: Callable[["Sync"], None], error: BaseException | None) -> None:
        """Report the outcome of the batch, on the writer thread."""
        self.error = error
        with self._turn:
            if self._waited:
                self._done.release()
            else:
                self._loop.call_soon_threadsafe(callback, self)
