"""A log on disk that a test writes, and the process that answers questions to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from ironkeep.adapters.log.files import DirectoryLogFiles, log_directory
from ironkeep.adapters.questions import process
from ironkeep.adapters.questions.process import WorkerProcess
from ironkeep.journal.journal import Journal
from ironkeep.plugin.effects.questions import Questions
from ironkeep.seal.reading_key import ReadingKeys, _Period
from tests.support.log.sample_journal import (
    READING_SECRET,
    SAMPLE_ORIGIN,
    SMALL_SEGMENT,
    open_sample,
    write_batch,
)

RUN: Final = 4_096

MORE_JOBS: Final = """
import os, time
from ironkeep import worker
def flag(about):
    return os.path.exists(about["flag"])
def endless(context, about):
    while not flag(about):
        yield
        time.sleep(0.005)
    return "ended"
def stuck(context, about):
    while not flag(about):
        time.sleep(0.01)
    return "free"
    yield
def large(context, about):
    yield
    return bytes(65 << 20)
def broken(context, about):
    yield
    raise RuntimeError("a value nobody should see")
def unreadable(context, about):
    yield
    raise OSError(5, "Input/output error")
worker.JOBS.update(endless=endless, stuck=stuck, large=large, broken=broken, unreadable=unreadable)
"""
"""Further questions that a test asks of the real process: long ones, and ones that fail."""


class AskedLog:
    """The journal, its questions and what the process puts on record."""

    def __init__(self, audit: Path) -> None:
        self.folder: Final = log_directory(audit, SAMPLE_ORIGIN)
        self.journal: Final[Journal] = open_sample(
            DirectoryLogFiles(self.folder), file_bytes=max(SMALL_SEGMENT, 1 << 20)
        )
        write_batch(self.journal, 20)
        self.leaves: Final[list[bytes]] = []
        self.worker: Final = WorkerProcess(
            audit,
            None,
            SAMPLE_ORIGIN,
            lambda: self.journal.durable_size,
            RUN,
            self.leaves.append,
        )
        self.questions: Final = Questions(self.worker)
        self.keys: Final = ReadingKeys((_Period(SAMPLE_ORIGIN, 0, READING_SECRET.reveal()),))
        self.worker.open(self.keys)

    def ask(self, name: str, is_abandoned: Callable[[], bool] = bool, /, **about: Any) -> Any:
        """Return the answer to a question."""
        return self.questions.ask(name, about, "a test", is_abandoned)()

    def entries(self) -> list[Any]:
        """Return the indexes of all entries, as the process reads them."""
        size = self.journal.durable_size
        answer = self.ask("read", origin=SAMPLE_ORIGIN, first=0, last=size, limit=10**6)
        return [answer["count"], answer["end"]]


@contextmanager
def asked_log(audit: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AskedLog]:
    """Keep a log and its process as long as the block lasts; the process knows MORE_JOBS too."""
    monkeypatch.setattr(process, "_MAIN", f"{MORE_JOBS}\n{process._MAIN}")
    log = AskedLog(audit)
    try:
        yield log
    finally:
        log.worker.close()
        log.journal.close()
