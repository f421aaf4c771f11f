"""The timer of a running server: the vault's timed work, and the signing of its log.

    about once a second:  trouble?  try the disk again, and nothing else
                          tick      the vault's small timed work (kernel/tick.py)
                          sign      check the files, sign a checkpoint, make room, check the disks
                          show      send the checkpoint to the witnesses, release what they cosigned

    while rows are due:   due_turn  a few milliseconds of work; then it becomes durable

The steps run one after another on the loop; those that wait for a disk or a witness run on worker
threads. A failure that may pass is logged and tried again at the next tick.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ironkeep.adapters.log.node_logs import NodeLogs
from ironkeep.adapters.process import messages as log
from ironkeep.adapters.process.disks import Disks
from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.adapters.witness.witnesses import Witnesses
from ironkeep.api.commit.committer import Committer
from ironkeep.api.stretches import clock, cpu_clock
from ironkeep.core.errors import IntegrityError, IronkeepError
from ironkeep.core.logport import is_transient
from ironkeep.journal.epochs import split_origin
from ironkeep.kernel.house import House
from ironkeep.kernel.tick import TURN_NS, due_turn, tick
from ironkeep.plugin.effects.answer import Answer, Waiting

TICK_SECONDS: Final = 1.0
"""Witnesses of the public network accept about one checkpoint a second; other work fits that."""


class Timer:
    """Runs the timed work of one server; `fail` seals it when its log must not be trusted."""

    def __init__(
        self,
        house: House,
        storage: SqliteStorage,
        logs: NodeLogs,
        witnesses: Witnesses,
        disks: Disks,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._house: Final = house
        self._journal: Final = house.journal
        self._storage: Final = storage
        self._logs: Final = logs
        self._witnesses: Final = witnesses
        self._disks: Final = disks
        self._fail: Final = fail
        self._marked = False
        self._ripe: Final = asyncio.Event()

    async def run(self, committer: Committer, stop: asyncio.Event) -> None:
        """Run all timed work, one step after another, about once a second; due work in turns."""
        turns = asyncio.create_task(self._work_off(committer))
        try:
            while not stop.is_set():
                try:
                    await asyncio.wait_for(stop.wait(), TICK_SECONDS)
                except TimeoutError:
                    await self._tick_once(committer)
        finally:
            turns.cancel()

    async def _work_off(self, committer: Committer) -> None:
        """Work off what is due; after each turn its writes become durable and others are served."""
        while True:
            await self._ripe.wait()
            self._ripe.clear()
            while not committer.trouble and self._due_turn(committer):
                await _durable(committer)

    def _due_turn(self, committer: Committer) -> bool:
        """Do one turn of due work; return whether more can be done at once."""
        start, cpu = clock(), cpu_clock()
        try:
            turn = due_turn(
                self._house, self._house.clock.now_ns(), lambda: clock() - start >= TURN_NS
            )
        except Exception as error:  # noqa: BLE001 - a defect of ours; the next tick tries again
            log.defect("-", error)
            return False
        committer.stretches.used("due work", cpu)
        self._submit(committer, turn.started)
        return turn.more

    def _submit(self, committer: Committer, effects: list[Waiting]) -> None:
        def ended(_answer: Answer | None) -> None:
            committer.nudge()
            self._ripe.set()  # what waited for this effect's end can begin

        for effect in effects:
            committer.submit(effect, ended)

    async def _tick_once(self, committer: Committer) -> None:
        if committer.trouble:
            with suppress(OSError, IronkeepError):
                await asyncio.to_thread(self._journal.rotate_wal)
            committer.try_again()
            return
        start = cpu_clock()
        try:
            self._submit(committer, tick(self._house, self._house.clock.now_ns()))
        except Exception as error:  # noqa: BLE001 - a defect of ours; the next tick tries again
            log.defect("-", error)
        committer.stretches.used("the tick", start)
        self._ripe.set()
        committer.nudge()
        if not self._house.failure:
            await self._sign(committer)
            self._mark()

    def _mark(self) -> None:
        """Mark once, beside the log, that the vault is initialised (adapters/log/node_logs.py)."""
        if self._marked or not self._storage.head().seq:
            return
        try:
            self._logs.mark_initialised(split_origin(self._journal.origin)[1])
            self._marked = True
        except OSError as error:
            self._disks.once.say("mark", f"cannot write beside the log: {error}")

    async def _sign(self, committer: Committer) -> None:
        """Sign a checkpoint of the durable entries, and send it to the witnesses."""
        try:
            note = await asyncio.to_thread(self._freeze)
        except Exception as error:  # noqa: BLE001 - a journal that cannot be signed must not grow
            transient = isinstance(error, OSError) and is_transient(error)
            if transient or isinstance(error, MemoryError):
                self._disks.once.say("sign", f"the journal cannot be signed for now: {error}")
            else:
                self._fail(error)
            return
        self._disks.once.over("sign")
        if note is not None:
            self._house.readings.heads.signed()
        try:
            size = await asyncio.to_thread(self._show, note)
        except IntegrityError as error:  # a witness proves a fork
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a witness's response must not seal the vault
            log.defect("-", error)
        else:
            committer.cosigned(size)
            self._house.clock.witnessed(self._witnesses.time_ns)
        self._house.readings.witnessed.signed()

    async def finish(self) -> None:
        """Sign the last entries and send the checkpoint, after the last batch is durable."""
        await asyncio.to_thread(self._show, await asyncio.to_thread(self._freeze))
        await asyncio.to_thread(self._journal.mark_time, self._house.clock.now_ns(), last=True)

    def _freeze(self) -> bytes | None:
        """Sign a checkpoint of the durable entries; return it, or None if there is no new one."""
        self._journal.check_files()
        note = self._journal.checkpoint()
        self._journal.rotate_wal()
        self._journal.mark_time(self._house.clock.now_ns())
        self._house.warnings = self._disks.look()
        try:
            self._storage.checkpoint()
        except OSError as error:
            # Usually the disk is full. Nothing is lost, and the next tick tries again.
            text = f"the database's write-ahead log could not be emptied, and grows: {error}"
            self._disks.once.say("checkpoint", text)
        else:
            self._disks.once.over("checkpoint")
        return note

    def _show(self, note: bytes | None) -> int:
        """Send a checkpoint to the witnesses; return the size that a quorum of them signed."""
        return self._witnesses.cosign(self._journal, note, say=log.say)


async def _durable(committer: Committer) -> None:
    """Wait until what was executed is durable or has failed, and let others be served."""
    done = asyncio.get_running_loop().create_future()

    def settle(_answer: Answer | None) -> None:
        if not done.done():
            done.set_result(None)

    committer.submit(Answer(None), settle)
    committer.nudge()
    await done
    await asyncio.sleep(0)
