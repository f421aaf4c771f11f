"""Word to people outside: after the batch, again after a failure, never in a request's way."""

from ironkeep.access.notices.notices import MAX_TRIES, MAX_WAITING, Notice, Notices
from ironkeep.core.errors import UpstreamFailed
from ironkeep.testing.vault import Vault
from tests.support.people.approval_estate import SECRET, Estate, ask, entries, estate


class Letters:
    """A notifier in memory, which fails when it is told to."""

    def __init__(self) -> None:
        self.sent: list[Notice] = []
        self.tried = 0
        self.down = False

    def send(self, notice: Notice) -> None:
        self.tried += 1
        if self.down:
            raise UpstreamFailed("unreachable: it is down")
        self.sent.append(notice)


def ready() -> tuple[Estate, Letters]:
    e, letters = estate(), Letters()
    Notices(e.vault.house.services, {"letters": letters})
    return e, letters


def raise_alert(vault: Vault, text: str) -> None:
    tx = vault.house.state.begin()
    vault.house.features.alerts.raise_(tx, "test", text, vault.clock.now_ns())
    tx.merge()
    vault.flush()


def pass_time(vault: Vault, seconds: int) -> None:
    for _ in range(seconds):
        vault.tick(1)


def test_a_request_for_approval_is_told_after_it_is_durable() -> None:
    e, letters = ready()
    asked = ask(e.vault, e.reader)
    assert letters.tried == 0
    e.vault.tick(1)
    (notice,) = letters.sent
    assert (notice.kind, notice.accessor) == ("approval-wanted", asked.accessor)
    assert notice.entity == e.reader.entity
    told = repr(notice)
    assert SECRET not in told
    assert str(asked.number) not in notice.text.replace(asked.accessor, "")
    assert asked.token not in told
    pass_time(e.vault, 3)
    assert len(letters.sent) == 1


def test_an_alert_is_told_and_survives_a_restart() -> None:
    e, _ = ready()
    raise_alert(e.vault, "something is wrong")
    later, letters = e.vault.restarted(), Letters()
    Notices(later.house.services, {"letters": letters})
    later.unseal()
    later.tick(1)
    assert [each.text for each in letters.sent] == ["something is wrong"]


def test_a_notifier_that_fails_is_an_alert_and_no_failure_of_the_request() -> None:
    e, letters = ready()
    letters.down = True
    ask(e.vault, e.reader)
    e.vault.tick(1)
    texts = [str(each.audited["text"]) for each in entries(e.vault) if each.op == "alert"]
    assert texts == ["letters did not take a notice: unreachable: it is down"]
    letters.down = False
    pass_time(e.vault, 14)
    assert letters.sent == []
    pass_time(e.vault, 3)
    assert [each.kind for each in letters.sent] == ["approval-wanted"]
    assert e.vault.defects == []


def test_what_is_never_taken_is_given_up() -> None:
    e, letters = ready()
    letters.down = True
    raise_alert(e.vault, "something is wrong")
    for _ in range(2 * MAX_TRIES):
        e.vault.tick(300)
    assert letters.tried == MAX_TRIES


def test_what_waits_has_a_limit() -> None:
    e, letters = ready()
    tx = e.vault.house.state.begin()
    for number in range(MAX_WAITING + 1):
        e.vault.house.features.alerts.raise_(tx, "test", f"{number}", e.vault.clock.now_ns())
    tx.merge()
    e.vault.flush()
    pass_time(e.vault, 3)
    assert 0 < letters.tried <= MAX_WAITING


def test_a_notice_for_a_notifier_that_is_gone_is_dropped() -> None:
    e, _ = ready()
    raise_alert(e.vault, "something is wrong")
    later, letters = e.vault.restarted(), Letters()
    Notices(later.house.services, {"others": letters})
    later.unseal()
    pass_time(later, 2)
    assert letters.tried == 0
