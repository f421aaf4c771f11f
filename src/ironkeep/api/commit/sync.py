"""One batch on its way to the disk, for which the loop waits: itself, or to be called back."""

import asyncio
import threading
from collections.abc import Callable
from typing import Final

from ironkeep.store.ledger import Batch

PATIENCE_SECONDS: Final = 0.001
"""How long the loop itself waits for a batch of reads, which a good disk takes in 0.1 ms.

Meanwhile nobody wants the interpreter lock of the writer, and the answers leave at once, before
more requests are executed. A disk that is slower, or hangs, costs the loop no more than this.
"""


class Sync:
    """One batch on its way to the disk, for which the loop waits: itself, or to be called back."""

    __slots__ = ("_done", "_loop", "_turn", "_waited", "batch", "error")

    def __init__(self, batch: Batch, loop: asyncio.AbstractEventLoop) -> None:
        self.batch: Final = batch
        self.error: BaseException | None = None
        self._loop: Final = loop
        self._turn: Final = threading.Lock()
        # A commit takes the disk longer: the loop goes on with the next batch.
        self._waited = batch.commit is None
        self._done: Final = threading.Lock()
        self._done.acquire()

    def wait(self) -> bool:
        """Wait a moment, on the loop; False: it is called back."""
        if not self._waited:
            return False
        if self._done.acquire(timeout=PATIENCE_SECONDS):
            return True
        with self._turn:
            self._waited = False
            return self._done.acquire(blocking=False)

    def finish(self, callback: Callable[["Sync"], None], error: BaseException | None) -> None:
        """Say, on the writer thread, what became of the batch."""
        self.error = error
        with self._turn:
            if self._waited:
                self._done.release()
            else:
                self._loop.call_soon_threadsafe(callback, self)
