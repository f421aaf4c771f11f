"""What logins give away, and what they cost others."""

import asyncio
import os
import threading

from ironkeep.api.commit.committer import Committer, Owner
from ironkeep.api.commit.slow_work import WORK_NICE
from ironkeep.app import PLUGINS
from ironkeep.core.errors import InvalidCredentials
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.testing.vault import Vault


def nice() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def failed(error: BaseException) -> None:
    raise error


def test_hashing_gives_way_to_the_loop() -> None:
    """Gains: a stranger's forty logins a second make all other requests wait."""
    vault = Vault.started(PLUGINS)

    async def run() -> int:
        loop = asyncio.get_running_loop()
        committer = Committer(vault.house.ledger, loop, Owner(failed, failed))
        try:
            done: asyncio.Future[int] = loop.create_future()

            def finish(result: int) -> Answer:
                done.set_result(result)
                return Answer(None)

            committer.submit(Waiting(nice, finish, hashing=True), lambda _answer: None)
            return await done
        finally:
            committer.close()

    before = nice()
    assert asyncio.run(run()) == max(before, WORK_NICE)
    assert nice() == before


def test_a_right_password_from_the_wrong_address_is_not_told_from_a_wrong_one() -> None:
    """Gains: who has guessed a password learns that it is right, and uses it elsewhere."""
    vault = Vault.started(PLUGINS)
    vault.write("sys/auth/userpass", {"type": "userpass"})
    user = {"password": "right", "token_bound_cidrs": "10.0.0.0/8"}
    vault.write("auth/userpass/users/ann", user)
    path = "auth/userpass/login/ann"
    far, near = "192.0.2.1:4711", "10.1.2.3:4711"
    wrong = vault.write(path, {"password": "wrong"}, token=None, remote=far)
    right = vault.write(path, {"password": "right"}, token=None, remote=far)
    assert (right.error, right.errors) == (wrong.error, wrong.errors)
    assert right.error is InvalidCredentials
    assert vault.write(path, {"password": "right"}, token=None, remote=near).error is None
