"""A vault that is watched for what it says when it finds rows that are not as committed."""

from contextlib import suppress

from ironkeep.core.errors import IntegrityError
from ironkeep.kernel.house import Search
from ironkeep.testing.vault import Vault


class Watched:
    """What a vault said when it sealed itself; `text` is empty while it did not."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.text = ""
        self.named: list[str] = []
        vault.house.on_distrust = self._hear

    def _hear(self, reason: str, search: Search | None) -> None:
        assert not self.text, "it is said once"
        self.text = reason
        self.named = search() if search is not None else []

    def check(self) -> None:
        """Check all rows, and make durable what the vault writes about that."""
        with suppress(IntegrityError):
            list(self.vault.house.check_rows())
        self.vault.flush()


def reopened(vault: Vault) -> Watched:
    """Restart a vault, unseal it, and check all its rows."""
    watched = Watched(vault.restarted())
    reply = watched.vault.unseal()
    assert reply.error is None, reply.errors
    watched.check()
    return watched
