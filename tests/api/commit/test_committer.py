"""Between executed and answered: disks that fail or hang, witnesses that are silent, the end."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from ironkeep.api.commit import committer, quorum, slow_work
from ironkeep.api.commit.sync import Sync, Watch, cpu_clock_of_this_thread
from ironkeep.app import PLUGINS
from ironkeep.core.errors import InvalidRequest, NotFound, TooManyRequests, Unavailable
from ironkeep.core.operation import Operation
from ironkeep.core.ports import Commit
from ironkeep.journal.journal import Receipt
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.testing.memory import Fault
from ironkeep.testing.memory_log import MemoryLogFiles
from ironkeep.testing.vault import Vault
from tests.support.edge import Edge, request, run

BODY = b'{"data":{"user":"app"}}'


def make_vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", {"data": {"password": "p"}})
    return vault


@pytest.fixture
def vault() -> Vault:
    return make_vault()


def read(vault: Vault, path: str = "secret/data/app") -> bytes:
    return request("GET", path, vault.root)


def write(vault: Vault, path: str = "secret/data/new") -> bytes:
    return request("POST", path, vault.root, body=BODY)


class Gate:
    """Holds up the journal's writes, as a disk that hangs does."""

    def __init__(self, files: MemoryLogFiles, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.open.set()
        self.reached = threading.Event()
        through = files.write_through

        def write_through(name: str, at: int, data: bytes) -> None:
            self.reached.set()
            self.open.wait()
            through(name, at, data)

        monkeypatch.setattr(files, "write_through", write_through)

    async def hang(self) -> None:
        """Wait until a write hangs."""
        await asyncio.to_thread(self.reached.wait)


@pytest.fixture
def gate(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(vault.files, monkeypatch)


class TestADiskThatHangs:
    def test_nobody_is_answered_before_the_journal_is_durable(
        self, vault: Vault, gate: Gate
    ) -> None:
        async def scenario(edge: Edge) -> None:
            clients = [edge.connect() for _ in range(3)]
            gate.open.clear()
            clients[0].send(read(vault))
            await gate.hang()
            clients[1].send(read(vault))
            clients[2].send(request("GET", "secret/data/app?version=1", vault.root))
            for _ in range(20):
                await asyncio.sleep(0)
            assert not any(client.answered for client in clients)
            gate.open.set()
            assert [(await client.answer()).status for client in clients] == [200] * 3

        run(scenario, vault)

    def test_who_waits_is_told_in_time_and_new_ones_at_once(self, vault: Vault, gate: Gate) -> None:
        async def scenario(edge: Edge) -> None:
            flying, waiting, late = edge.connect(), edge.connect(), edge.connect()
            gate.open.clear()
            flying.send(write(vault))
            await gate.hang()
            waiting.send(request("GET", "secret/data/app?version=1", vault.root))
            await asyncio.sleep(0)
            edge.loop.jump(committer.STALL_SECONDS + 0.1)
            for client in (flying, waiting):
                raw = await client.answer()
                assert raw.status == 503
                assert "outcome is unknown" in raw.errors[0]
                assert raw.header("retry-after") == "1"
            raw = await late.ask(read(vault))
            assert raw.status == 503
            assert "does not reach the disk" in raw.errors[0]
            gate.open.set()
            await edge.settle()
            # It did happen in the end, and everything goes on.
            assert (await late.ask(read(vault, "secret/data/new"))).status == 200
            assert edge.failures == edge.defects == []

        run(scenario, vault)


STATUSES = {Fault.NOT_PERSISTED: 404, Fault.PERSISTED_ANYWAY: 200}


class TestACommitThatFails:
    @pytest.mark.parametrize("fault", list(Fault))
    def test_the_client_is_told_that_nobody_knows_and_the_next_one_is_served(
        self, vault: Vault, fault: Fault
    ) -> None:
        async def scenario(edge: Edge) -> None:
            writer, reader = edge.connect(), edge.connect()
            vault.storage.fail(fault)
            writer.send(write(vault))
            reader.send(read(vault))
            for client in (writer, reader):
                raw = await client.answer()
                assert raw.status == 503
                assert "outcome is unknown" in raw.errors[0]
            await edge.settle()
            raw = await reader.ask(read(vault, "secret/data/new"))
            assert raw.status == STATUSES[fault]
            assert (await writer.ask(write(vault))).status == 200
            assert edge.failures == edge.defects == []

        run(scenario, vault)
        again = vault.restarted()
        again.unseal()
        assert again.read("secret/data/new").data["data"] == {"user": "app"}

    def test_a_read_that_stood_on_a_lost_write_is_withheld(self, vault: Vault) -> None:
        """Executed while the commit was under way, on top of rows that never came to be."""
        release = threading.Event()
        commit = vault.storage.commit

        def slow(given: object) -> None:
            release.wait()
            commit(given)  # type: ignore[arg-type]

        vault.storage.commit = slow  # type: ignore[method-assign,assignment]

        async def scenario(edge: Edge) -> None:
            writer, reader = edge.connect(), edge.connect()
            vault.storage.fail(Fault.NOT_PERSISTED)
            writer.send(write(vault))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            reader.send(read(vault, "secret/data/new"))
            release.set()
            assert (await writer.answer()).status == 503
            assert (await reader.answer()).status == 503
            await edge.settle()
            assert (await reader.ask(read(vault, "secret/data/new"))).status == 404

        run(scenario, vault)


class TestTheNextBatch:
    """It is closed while the journal of the one ahead of it is being written."""

    def test_it_is_closed_once_the_database_has_the_one_ahead(
        self, vault: Vault, gate: Gate
    ) -> None:
        async def scenario(edge: Edge) -> None:
            first, second, third = edge.connect(), edge.connect(), edge.connect()
            hold = threading.Event()
            commit = vault.storage.commit

            def slow(given: Commit) -> None:
                hold.wait()
                commit(given)

            vault.storage.commit = slow  # type: ignore[method-assign,assignment]
            gate.open.clear()
            first.send(write(vault, "secret/data/one"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            second.send(write(vault, "secret/data/two"))
            await asyncio.sleep(0)
            assert vault.house.ledger.has_open_batch(), "the database does not have the first one"
            hold.set()
            await gate.hang()
            for _ in range(20):
                await asyncio.sleep(0)
            assert not vault.house.ledger.has_open_batch()
            third.send(read(vault))
            for _ in range(20):
                await asyncio.sleep(0)
            assert vault.house.ledger.has_open_batch(), "two batches are on their way, not three"
            assert not any(client.answered for client in (first, second, third))
            gate.open.set()
            for client in (first, second, third):
                assert (await client.answer()).status == 200
            assert edge.failures == edge.defects == []

        run(scenario, vault)

    @pytest.mark.parametrize("fault", list(Fault))
    def test_it_is_not_begun_when_the_one_ahead_fails(
        self, vault: Vault, gate: Gate, fault: Fault
    ) -> None:
        async def scenario(edge: Edge) -> None:
            first, second = edge.connect(), edge.connect()
            hold = threading.Event()
            commit, commits = vault.storage.commit, list[int]()

            def counted(given: Commit) -> None:
                commits.append(given.seq)
                hold.wait()
                commit(given)

            vault.storage.commit = counted  # type: ignore[method-assign,assignment]
            gate.open.clear()
            first.send(write(vault, "secret/data/one"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            second.send(write(vault, "secret/data/two"))
            hold.set()
            await gate.hang()
            for _ in range(20):
                await asyncio.sleep(0)
            assert not vault.house.ledger.has_open_batch()
            vault.files.fail(0, fault)
            gate.open.set()
            for client in (first, second):
                assert (await client.answer()).status == 503
            await edge.settle()
            assert len(commits) == 1
            assert len(edge.failures) == 1
            assert edge.defects == []

        run(scenario, vault)
        again = vault.restarted()
        again.unseal()
        assert again.read("secret/data/one").data["data"] == {"user": "app"}
        assert again.request(Operation.READ, "secret/data/two").answer.error is NotFound


class TestAJournalThatFails:
    @pytest.mark.parametrize("fault", list(Fault))
    def test_it_seals_and_says_why(self, vault: Vault, fault: Fault) -> None:
        async def scenario(edge: Edge) -> None:
            clients = [edge.connect() for _ in range(4)]
            vault.files.fail(0, fault)
            for client in clients:
                client.send(read(vault))
            for client in clients:
                raw = await client.answer()
                assert raw.status == 503
                assert vault.root.encode() not in raw.body
            assert len(edge.failures) == 1
            for _ in range(2):
                raw = await clients[0].ask(read(vault))
                assert raw.status == 503
                assert "restart the server" in raw.errors[0]
            raw = await clients[1].ask(request("PUT", "sys/unseal", "", body=b'{"key":"00"}'))
            assert raw.status == 503
            await edge.settle()
            assert edge.defects == []

        run(scenario, vault)
        assert vault.house.barrier is None
        again = vault.restarted()
        again.unseal()
        assert again.read("secret/data/app").data["data"] == {"password": "p"}


class TestWitnesses:
    def submit(
        self, edge: Edge, vault: Vault, got: list[Answer | None], *, quorum: bool = True
    ) -> Receipt:
        receipt = vault.house.note("notice", "test", {})
        edge.committer.submit(Answer(receipt, b"{}", quorum=quorum), got.append)
        return receipt

    def test_such_an_answer_waits_for_the_signatures(self, vault: Vault) -> None:
        async def scenario(edge: Edge) -> None:
            edge.committer.await_quorum = True
            got: list[Answer | None] = []
            receipt = self.submit(edge, vault, got)
            await edge.settle()
            edge.committer.cosigned(receipt.index)
            assert got == []
            edge.committer.cosigned(receipt.index + 1)
            assert [answer.body for answer in got if answer] == [b"{}"]
            edge.loop.jump(quorum.QUORUM_SECONDS + 1)
            await asyncio.sleep(0)
            assert len(got) == 1

        run(scenario, vault)

    def test_it_does_not_wait_for_ever(self, vault: Vault) -> None:
        async def scenario(edge: Edge) -> None:
            edge.committer.await_quorum = True
            got: list[Answer | None] = []
            receipt = self.submit(edge, vault, got)
            await edge.settle()
            edge.loop.jump(quorum.QUORUM_SECONDS + 0.1)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(got) == 1
            assert got[0] is not None
            assert got[0].error is Unavailable
            assert got[0].receipt == receipt
            assert b"no quorum of witnesses has signed" in (got[0].body or b"")
            edge.committer.cosigned(receipt.index + 1)
            assert len(got) == 1

        run(scenario, vault)

    def test_others_do_not_wait(self, vault: Vault) -> None:
        async def scenario(edge: Edge) -> None:
            got: list[Answer | None] = []
            edge.committer.await_quorum = True
            self.submit(edge, vault, got, quorum=False)
            await edge.settle()
            edge.committer.await_quorum = False
            self.submit(edge, vault, got)
            await edge.settle()
            assert len(got) == 2

        run(scenario, vault)

    def test_so_many_may_wait_and_no_more(
        self, vault: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(quorum, "MAX_QUORUM", 2)

        async def scenario(edge: Edge) -> None:
            edge.committer.await_quorum = True
            got: list[Answer | None] = []
            for _ in range(3):
                self.submit(edge, vault, got)
            await edge.settle()
            assert [answer.error for answer in got if answer] == [Unavailable]

        run(scenario, vault)


class TestWork:
    def waiting(self, work: Callable[[], object], results: list[object]) -> Waiting:
        def finish(result: object) -> Answer:
            results.append(result)
            return Answer(None, b"{}")

        return Waiting(work, finish)

    def test_an_exception_of_the_work_is_its_result(self, vault: Vault) -> None:
        def fails() -> object:
            raise InvalidRequest("no")

        async def scenario(edge: Edge) -> None:
            results: list[object] = []
            done: asyncio.Future[Answer | None] = edge.loop.create_future()
            edge.committer.submit(self.waiting(fails, results), done.set_result)
            assert await done == Answer(None, b"{}")
            assert isinstance(results[0], InvalidRequest)

        run(scenario, vault)

    def test_a_finish_that_fails_is_a_defect_and_still_answered(self, vault: Vault) -> None:
        def broken(_result: object) -> Answer:
            raise ZeroDivisionError

        async def scenario(edge: Edge) -> None:
            done: asyncio.Future[Answer | None] = edge.loop.create_future()
            edge.committer.submit(Waiting(int, broken), done.set_result)
            assert await done is None
            assert [type(error) for error in edge.defects] == [ZeroDivisionError]

        run(scenario, vault)

    def test_a_crowd_is_turned_away_and_its_first_are_served(
        self, vault: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(slow_work, "MAX_WORK", 2)
        begun, release = threading.Event(), threading.Event()

        def work() -> bool:
            begun.set()
            return release.wait()

        async def scenario(edge: Edge) -> None:
            results: list[object] = []
            done: list[asyncio.Future[Answer | None]] = []

            def submit() -> None:
                future: asyncio.Future[Answer | None] = edge.loop.create_future()
                done.append(future)
                waiting = replace(self.waiting(work, results), hashing=True)
                edge.committer.submit(waiting, future.set_result)

            submit()
            await asyncio.to_thread(begun.wait)
            for _ in range(3):
                submit()
            await done[3]
            assert [type(result) for result in results] == [TooManyRequests]
            release.set()
            await asyncio.gather(*done)
            assert results[1:] == [True, True, True]

        run(scenario, vault)

    def test_an_effect_starts_only_when_its_intent_is_durable(
        self, vault: Vault, gate: Gate
    ) -> None:
        async def scenario(edge: Edge) -> None:
            started = threading.Event()
            done: asyncio.Future[Answer | None] = edge.loop.create_future()
            gate.open.clear()
            effect = Waiting(
                started.set, lambda _: Answer(None), vault.house.note("notice", "test", {})
            )
            edge.committer.submit(effect, done.set_result)
            await gate.hang()
            assert not started.is_set()
            gate.open.set()
            await done
            assert started.is_set()

        run(scenario, vault)


class TestRoom:
    def test_so_many_may_wait_for_one_sync_and_no_more(
        self, vault: Vault, gate: Gate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(committer, "MAX_WAITING", 2)

        async def scenario(edge: Edge) -> None:
            gate.open.clear()
            clients = [edge.connect() for _ in range(4)]
            clients[0].send(read(vault))
            await gate.hang()
            before = vault.journal.next_index
            for client in clients[1:]:
                client.send(read(vault))
            raw = await clients[3].answer()
            assert raw.status == 503
            assert vault.journal.next_index == before + 2, "a refused request was executed"
            gate.open.set()
            assert [(await client.answer()).status for client in clients[:3]] == [200] * 3

        run(scenario, vault)

    def test_a_counted_refusal_is_answered_too(self, vault: Vault) -> None:
        """Strangers past the rate of the journal get answers without a receipt."""

        async def scenario(edge: Edge) -> None:
            client = edge.connect()
            answers = [await client.ask(request("GET", "secret/data/app")) for _ in range(300)]
            assert {raw.status for raw in answers} == {403}
            assert answers[0].header("x-ironkeep-audit")
            assert not answers[-1].header("x-ironkeep-audit")

        run(scenario, vault)


def test_the_end_loses_nothing(vault: Vault, gate: Gate) -> None:
    async def scenario(edge: Edge) -> None:
        short, long, idle = edge.connect(), edge.connect(), edge.connect()
        gate.open.clear()
        short.send(write(vault))
        await gate.hang()
        long.send(request("DELETE", "secret/data/app", vault.root))
        await asyncio.sleep(0)
        for client in (short, long, idle):
            client.protocol.shutdown()
        assert [client.transport.closed for client in (short, long, idle)] == [False, False, True]
        gate.open.set()
        assert (await short.answer()).status == 200
        assert (await long.answer()).status == 204
        await edge.settle()
        assert all(client.transport.closed for client in (short, long))

    run(scenario, vault)
    again = vault.restarted()
    again.unseal()
    assert again.read("secret/data/new").data["data"] == {"user": "app"}


def test_what_nobody_waits_for_is_made_durable_in_the_end(vault: Vault) -> None:
    async def scenario(edge: Edge) -> None:
        receipt = vault.house.note("notice", "test", {})
        assert vault.journal.durable_size <= receipt.index
        await edge.committer.drain()
        assert vault.journal.durable_size > receipt.index

    run(scenario, vault)


def test_only_a_batch_that_waits_for_the_disk_hangs(vault: Vault) -> None:
    """A loop that was busy, and a large commit that is being computed, are no disk failure."""
    vault.pipeline.handle(vault.asked(Operation.READ, "secret/data/app", None, "root"))
    batch = vault.house.ledger.close()
    assert batch is not None
    loop = asyncio.new_event_loop()
    sync, now = Sync(batch, loop, []), [0.0]
    watch = Watch(lambda: now[0], cpu_clock_of_this_thread())
    now[0] = 5.0
    assert not sync.hangs(watch), "it was not begun"
    sync.begun = True
    assert sync.hangs(watch)
    start = time.thread_time()
    while time.thread_time() - start < 0.02:
        pass
    now[0] = 0.05
    assert not sync.hangs(watch), "its thread computes"
    now[0] = 5.0
    sync.ended = True
    assert not sync.hangs(watch), "the loop has not heard of its end yet"
    loop.close()
    vault.house.ledger.persist(batch)
