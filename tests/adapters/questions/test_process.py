"""The process that answers questions: real, killed, stuck, starved, sealed and orphaned."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ironkeep.adapters.questions import process
from ironkeep.core.errors import InvalidRequest, Sealed, TooLarge, Unavailable
from ironkeep.index.leaf import LEVELS, read_index_leaf
from ironkeep.index.positions import RUN
from ironkeep.worker import NICE
from tests.support.log.asked_log import AskedLog, asked_log
from tests.support.log.sample_journal import READING_SECRET, write_batch

PATIENCE = 60.0


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AskedLog]:
    with asked_log(tmp_path / "audit", monkeypatch) as log:
        yield log


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds; fail if it does not within PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.01)


class Asking(threading.Thread):
    """A question that is asked on a thread, as the server's workers do."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.result: Any = None
        self._ask = ask
        self.start()

    def run(self) -> None:
        try:
            self.result = self._ask()
        except Exception as error:  # noqa: BLE001 - the result that a test looks at
            self.result = error

    def ended(self) -> Any:
        self.join(PATIENCE)
        assert not self.is_alive()
        return self.result


def is_gone(pid: int | None) -> bool:
    return not Path(f"/proc/{pid}").exists()


def is_running(log: AskedLog, number: int = 1) -> bool:
    slot = log.worker._slots.get(number)
    return slot is not None and slot.child is not None


def test_it_is_started_by_the_first_question_and_reads_the_log(log: AskedLog) -> None:
    assert log.worker.pid is None
    size = log.journal.durable_size
    assert log.entries() == [size - 1, size]
    assert log.worker.pid is not None


def test_all_its_threads_give_way_to_the_server(log: AskedLog) -> None:
    log.entries()
    threads = [int(each.name) for each in Path(f"/proc/{log.worker.pid}/task").iterdir()]
    assert len(threads) == 3
    low = min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
    assert {os.getpriority(os.PRIO_PROCESS, each) for each in threads} == {low}


def test_it_sees_what_becomes_durable_and_files_that_move(log: AskedLog) -> None:
    for _ in range(30):
        write_batch(log.journal, 200)
        log.journal.checkpoint()
        log.journal.rotate_wal()
        size = log.journal.durable_size
        answer = log.ask("read", origin=log.journal.origin, first=size - 9, last=size, limit=100)
        assert answer["end"] == size


def test_a_killed_process_is_followed_by_another_that_answers(
    log: AskedLog, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    flag = tmp_path / "flag"
    asking = Asking(lambda: log.ask("endless", flag=str(flag)))
    until(lambda: is_running(log))
    first = log.worker.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: log.worker.pid not in {None, first})
    flag.touch()
    assert asking.ended() == "ended"
    assert is_gone(first), "it was reaped"
    assert "ended with code -9: the next one is started" in capfd.readouterr().err


def test_a_question_that_kills_twice_is_not_asked_a_third_time(log: AskedLog) -> None:
    asking = Asking(lambda: log.ask("endless", flag="/nowhere"))
    for _ in range(process.TRIES):
        until(lambda: is_running(log) and log.worker.pid)
        pid = log.worker.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(partial(is_gone, pid))
    assert isinstance(asking.ended(), Unavailable)
    assert "see the server's log" in str(asking.result)
    assert log.entries(), "and others are answered"


def test_a_long_question_is_cancelled_and_its_process_stays(
    log: AskedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log.entries()
    pid = log.worker.pid
    monkeypatch.setattr(process, "LIMIT_SECONDS", 0.5)
    monkeypatch.setattr(process, "GRACE_SECONDS", PATIENCE)
    with pytest.raises(Unavailable, match="narrow it"):
        log.ask("endless", flag="/nowhere")
    monkeypatch.setattr(process, "LIMIT_SECONDS", PATIENCE)
    assert log.entries()
    assert log.worker.pid == pid


def test_a_question_that_is_stuck_is_killed_with_its_process(
    log: AskedLog, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert log.entries()
    pid = log.worker.pid
    monkeypatch.setattr(process, "LIMIT_SECONDS", 0.5)
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.5)
    with pytest.raises(Unavailable, match="narrow it"):
        log.ask("stuck", flag="/nowhere")
    monkeypatch.setattr(process, "LIMIT_SECONDS", PATIENCE)
    assert log.entries()
    assert log.worker.pid != pid
    assert is_gone(pid)
    assert "its process was killed" in capfd.readouterr().err


def test_a_client_that_goes_away_ends_its_question(log: AskedLog) -> None:
    gone = threading.Event()
    asking = Asking(lambda: log.ask("endless", gone.is_set, flag="/nowhere"))
    until(lambda: is_running(log))
    gone.set()
    assert isinstance(asking.ended(), Unavailable)
    assert log.questions.listed() == []


def test_a_question_can_be_cancelled_by_its_number(log: AskedLog) -> None:
    asking = Asking(lambda: log.ask("endless", flag="/nowhere"))
    until(lambda: is_running(log))
    (listed,) = log.questions.listed()
    assert (listed["name"], listed["by"], listed["state"]) == ("endless", "a test", "running")
    log.questions.cancel(listed["number"])
    assert isinstance(asking.ended(), Unavailable)


def test_short_questions_do_not_wait_for_long_ones(log: AskedLog, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    long = [Asking(lambda: log.ask("endless", flag=str(flag))) for _ in range(3)]
    until(lambda: all(is_running(log, number) for number in (1, 2, 3)))
    assert log.entries()
    assert all(each.is_alive() for each in long)
    flag.touch()
    assert [each.ended() for each in long] == ["ended"] * 3


def test_a_hundred_questions_at_once_are_all_answered(log: AskedLog) -> None:
    expected = log.entries()
    asked = [Asking(log.entries) for _ in range(100)]
    assert [each.ended() for each in asked] == [expected] * 100


def test_sealing_ends_the_process_and_its_questions(log: AskedLog) -> None:
    asking = Asking(lambda: log.ask("stuck", flag="/nowhere"))
    until(lambda: is_running(log))
    pid = log.worker.pid
    log.worker.seal()
    assert isinstance(asking.ended(), Sealed)
    until(lambda: is_gone(pid))
    with pytest.raises(Sealed):
        log.entries()
    log.worker.open(log.keys)
    assert log.entries(), "and it is started again after an unseal"


def test_no_process_is_left_after_a_stop(log: AskedLog) -> None:
    assert log.entries()
    pid = log.worker.pid
    log.worker.close()
    assert is_gone(pid), "not even as a zombie"


def test_it_ends_with_a_server_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; import pytest\n"
        "from tests.support.log.asked_log import AskedLog\n"
        "log = AskedLog(Path(sys.argv[1])); log.entries()\n"
        "print(log.worker.pid, flush=True); time.sleep(1000)"
    )
    root = Path(__file__).parents[3]
    server = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "audit")],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    assert not is_gone(pid)
    server.kill()
    server.communicate()
    until(lambda: is_gone(pid) or "State:\tZ" in Path(f"/proc/{pid}/status").read_text())


def test_signals_meant_for_the_server_do_not_end_it(log: AskedLog) -> None:
    assert log.entries()
    pid = log.worker.pid
    assert pid is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert log.entries()
    assert log.worker.pid == pid
    assert os.getpgid(pid) != os.getpgid(0), "Ctrl-C does not reach it"


def test_neither_arguments_nor_environment_have_the_key(log: AskedLog) -> None:
    """Gains: any process that lists others learns the key that opens the journal."""
    assert log.entries()
    key = READING_SECRET.reveal()
    for name in ("cmdline", "environ"):
        shown = Path(f"/proc/{log.worker.pid}/{name}").read_bytes()
        assert shown, "the file was read"
        assert key not in shown
        assert key.hex().encode() not in shown
    assert b"PATH=" not in Path(f"/proc/{log.worker.pid}/environ").read_bytes().replace(
        b"PYTHONPATH=", b""
    )
    limits = Path(f"/proc/{log.worker.pid}/limits").read_text()
    (core,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core.split()[4:6] == ["0", "0"]


def test_no_other_process_can_reach_it(log: AskedLog) -> None:
    """Gains: a local process asks the journal without a token."""
    assert log.entries()
    links = [str(each.readlink()) for each in Path(f"/proc/{log.worker.pid}/fd").iterdir()]
    sockets = [each.removeprefix("socket:[")[:-1] for each in links if each.startswith("socket:")]
    assert len(sockets) == 1
    table = Path(f"/proc/{log.worker.pid}/net/unix").read_text().splitlines()
    (row,) = [line.split() for line in table if sockets[0] in line.split()]
    assert len(row) == 7, "the socket has no name in the file system or beside it"


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("large", TooLarge, "larger than 64 MiB"),
        ("broken", Unavailable, "a defect"),
        ("unreadable", Unavailable, "Input/output error"),
        ("no such", InvalidRequest, "no question"),
    ],
)
def test_a_question_that_fails_says_how(
    log: AskedLog,
    name: str,
    error: type[Exception],
    words: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(error, match=words):
        log.ask(name)
    assert log.entries(), "the others are answered"
    said = capfd.readouterr().err
    assert "nobody should see" not in said
    assert ("RuntimeError at <string>" in said) == (name == "broken")


@pytest.mark.parametrize("value", [1 << 70, -(1 << 70), "\ud800"])
def test_a_question_that_has_no_encoding_is_refused_alone(log: AskedLog, value: object) -> None:
    """Gains: one search until the year 9999 ends all questions, and with them the response."""
    with pytest.raises(InvalidRequest, match="no encoding"):
        log.ask("read", first=value)
    assert log.entries(), "the others are answered"


def test_a_defect_while_messages_are_taken_does_not_end_the_questions(
    log: AskedLog, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_arguments: object) -> None:
        monkeypatch.undo()
        raise RuntimeError("a value nobody should see")

    monkeypatch.setattr(log.worker, "_take", broken)
    assert log.entries(), "asked once more of the next process"
    said = capfd.readouterr().err
    assert "defect in the questions' thread: RuntimeError at" in said
    assert "nobody should see" not in said


def test_a_process_that_cannot_be_started_is_a_clear_refusal(
    log: AskedLog, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(Unavailable, match="see the server's log"):
        log.entries()
    with pytest.raises(Unavailable, match="failed 3 times"):
        log.entries()
    assert "cannot be started: No such file or directory" in capfd.readouterr().err
    monkeypatch.undo()
    until(lambda: time.monotonic() > log.worker._retry_at)
    assert log.entries(), "and it is tried again"


def test_the_index_is_built_and_put_on_record(log: AskedLog) -> None:
    while log.journal.durable_size < 3 * RUN:
        write_batch(log.journal, 1_000)
    until(lambda: len(set(log.leaves)) == 3)
    assert LEVELS[0] == RUN
    assert len(list((log.folder / "index" / "0").iterdir())) == 3
    for leaf in dict.fromkeys(log.leaves):
        log.journal.append_leaf(leaf)
    log.leaves.clear()
    write_batch(log.journal, RUN)
    until(lambda: log.leaves)
    assert len(set(log.leaves)) == 1, "what is on record does not come again"
    run = read_index_leaf(log.leaves[0], log.journal.durable_size).run
    assert (run.level, run.first) == (0, 3 * RUN)
