"""The outbox is rows in the database: who may write those must not write the journal by them."""

from hashlib import sha256

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry, encode
from ironkeep.core.evidence.leaf import LeafKey, wrap_key
from ironkeep.core.secret import Secret
from ironkeep.journal.frame import FRAME_HEADER, build_frame, read_leaves
from ironkeep.seal.reading_key import reading_key_of
from ironkeep.testing.vault import Vault


def forged(vault: Vault, frame: bytes) -> bytes:
    """Return a frame after frame, made of nothing that is secret, which blames somebody."""
    first, leaves = read_leaves(frame)
    first += len(leaves)
    public = reading_key_of(vault.storage, vault.entropy).public
    run_key, origin = Secret(b"R" * 32), vault.journal.origin
    entry = Entry(kind="request", time_ns=1, op="read", path="secret/data/a", name="innocent")
    made = [
        wrap_key(run_key, first, origin, public, Secret(b"E" * 32)),
        LeafKey(run_key, origin).encrypt(first + 1, encode(entry)),
    ]
    payload = b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in made)
    digest = frame[FRAME_HEADER - 36 : FRAME_HEADER - 4]
    return build_frame(
        digest, first, payload, [sha256(b"\0" + leaf).digest() for leaf in made]
    ).data


@pytest.mark.parametrize("mac", [b"", bytes(32), None])
def test_a_forged_frame_in_the_outbox_does_not_reach_the_log(mac: bytes | None) -> None:
    """Gains: entries that blame others, or that prove what never happened, signed by the log."""
    vault = Vault.started(PLUGINS)
    size = vault.journal.durable_size
    ((seq, last),) = vault.storage.outbox()
    frame = forged(vault, vault.journal.vouched(last))
    vault.storage._outbox[seq] = frame + (last[-32:] if mac is None else mac)
    with pytest.raises(IntegrityError, match="not put there by this log's writer"):
        vault.restarted()
    vault.storage._outbox[seq] = last
    again = vault.restarted()
    assert again.journal.durable_size == size + 2


def test_a_frame_that_is_vouched_for_is_still_no_commits_frame() -> None:
    """The forgery above is refused for its MAC first; a stolen key for it is not enough."""
    vault = Vault.started(PLUGINS)
    ((seq, last),) = vault.storage.outbox()
    frame = forged(vault, vault.journal.vouched(last))
    vault.storage._outbox[seq + 1] = frame + vault.journal._mac(frame)
    with pytest.raises(IntegrityError, match="does not end in the journal frame of commit"):
        vault.restarted()
    del vault.storage._outbox[seq + 1]
    vault.storage._outbox[seq] = frame + vault.journal._mac(frame)
    again = vault.restarted()
    reply = again.unseal()
    assert reply.error is IntegrityError
    assert again.house.barrier is None


@pytest.mark.parametrize("other", [b"vault.example/audit/node-1/1+00000000+AAAA\n", None])
def test_another_verifier_key_beside_the_log_is_noticed(other: bytes | None) -> None:
    """Gains: whoever copies the key to verify the log with copies the attacker's."""
    vault = Vault.started(PLUGINS)
    del vault.disk.files["vkey"]
    if other is not None:
        vault.disk.files["vkey"] = bytearray(other)
    with pytest.raises(IntegrityError, match="vkey is not that of the signing key"):
        vault.restarted()
