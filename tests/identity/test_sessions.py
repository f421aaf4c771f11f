"""A session holds while nothing changed; a write of the request that asks is a change too."""

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import PermissionDenied
from ironkeep.core.secret import Secret
from ironkeep.plugin.token import Session
from ironkeep.store.state import Tx
from ironkeep.testing.vault import Vault


def test_a_session_ends_with_the_row_that_it_stands_on_even_in_the_same_request() -> None:
    vault = Vault.started(PLUGINS)
    token = vault.write("auth/token/create", {"policies": ["default"]}).token
    tokens, secret = vault.house.tokens, Secret(token.encode())
    now = vault.clock.now_ns()

    def session(tx: Tx) -> Session:
        return tokens.authenticate(tx, secret, now, "192.0.2.7:1")

    tx = vault.house.state.begin()
    first = session(tx)
    assert session(tx) is first
    assert vault.house.state.begin().stamp() == tx.stamp()
    # A write of the request itself: unmerged, so the state's stamp has not moved.
    key = next(key for key, _ in vault.house.state.scan(b"\x01") if _is_needed(vault, key, secret))
    nested = tx.nested()
    nested.delete(key)
    with pytest.raises(PermissionDenied):
        session(nested)
    assert session(tx).hash == first.hash


def _is_needed(vault: Vault, key: bytes, secret: Secret) -> bool:
    """Whether the token is dead without this row."""
    tx = vault.house.state.begin().nested()
    tx.delete(key)
    try:
        vault.house.tokens.authenticate(tx, secret, vault.clock.now_ns(), "192.0.2.7:1")
    except PermissionDenied:
        return True
    return False
