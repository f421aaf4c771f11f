import pytest

from ironkeep.core.errors import InvalidRequest, IronkeepError, Sealed, TooLarge, Uninitialised
from ironkeep.core.ids import ROOT_NAMESPACE, MountUuid
from ironkeep.core.ports import Entropy, Row
from ironkeep.seal import rekey as module
from ironkeep.seal.rekey import Rekey, RekeyDone, RekeyStatus
from ironkeep.seal.seal import Seal
from ironkeep.store.barrier import Barrier, Store
from ironkeep.store.keyring import HOUSE
from ironkeep.store.names import Place
from ironkeep.store.rows import RowView

Rows = dict[bytes, Row]
PLACE = Place(ROOT_NAMESPACE, MountUuid("uuid"))
IDLE = RekeyStatus("", False, 0, 0, 0, 2, False)


@pytest.fixture
def seal(entropy: Entropy) -> Seal:
    return Seal(HOUSE, entropy)


@pytest.fixture
def keys(seal: Seal, view: RowView) -> list[str]:
    """The seal is initialised, 2 of 3, and open."""
    keys = [key.reveal().hex() for key in seal.initialise(view, 1, 3, 2).keys]
    _unseal(seal, view, keys[:2])
    return keys


@pytest.fixture
def rekey(seal: Seal, entropy: Entropy) -> Rekey:
    return Rekey(seal, entropy)


def _unseal(seal: Seal, view: RowView, keys: list[str]) -> None:
    for key in keys:
        seal.unseal(view, key)


def _finish(rekey: Rekey, view: RowView, keys: list[str]) -> RekeyDone:
    nonce = rekey.status().nonce
    for key in keys[:-1]:
        assert isinstance(rekey.update(view, key, nonce), RekeyStatus)
    done = rekey.update(view, keys[-1], nonce)
    assert isinstance(done, RekeyDone)
    return done


def _hex(done: RekeyDone) -> list[str]:
    return [key.reveal().hex() for key in done.keys]


def test_new_shares_replace_the_old(
    seal: Seal, view: RowView, keys: list[str], rekey: Rekey, entropy: Entropy
) -> None:
    Store(Barrier(seal.opened.keyring, entropy), PLACE, view).put("a", b"kept")
    assert rekey.status() == IDLE
    started = rekey.start(5, 3)
    assert started == RekeyStatus(started.nonce, True, 3, 5, 0, 2, False)
    status = rekey.update(view, keys[0], started.nonce)
    assert isinstance(status, RekeyStatus)
    assert (status.progress, status.nonce) == (1, started.nonce)
    done = rekey.update(view, keys[2], started.nonce)
    assert isinstance(done, RekeyDone)
    assert (done.nonce, done.complete, done.verification_required) == (started.nonce, True, False)
    assert len(done.keys) == 5
    assert "\\x" not in repr(done)
    assert seal.sealed is False
    assert (seal.status().t, seal.status().n) == (3, 5)
    assert rekey.status() == RekeyStatus("", False, 0, 0, 0, 3, False)

    fresh = Seal(HOUSE, entropy)
    fresh.load(view)
    _unseal(fresh, view, _hex(done)[2:])
    assert Store(Barrier(fresh.opened.keyring, entropy), PLACE, view).get("a") == b"kept"


def test_shares_of_an_older_rekey_are_refused(
    seal: Seal, view: RowView, keys: list[str], rekey: Rekey
) -> None:
    rekey.start(3, 2)
    first = _hex(_finish(rekey, view, keys[:2]))
    rekey.start(3, 2)
    second = _hex(_finish(rekey, view, first[:2]))
    seal.close()
    for old in (keys[:2], first[:2], [first[0], second[1]]):
        with pytest.raises(InvalidRequest, match="do not open"):
            seal.unseal(view, old[0])
    _unseal(seal, view, second[1:])
    assert seal.sealed is False


def test_older_rows_put_back_do_not_mix_with_the_new(
    view: RowView, rows: Rows, keys: list[str], rekey: Rekey, entropy: Entropy
) -> None:
    old = dict(rows)
    rekey.start(3, 2)
    new = _hex(_finish(rekey, view, keys[:2]))
    for key, row in old.items():
        kept = rows[key]
        rows[key] = row
        for shares in (keys[:2], new[:2]):
            victim = Seal(HOUSE, entropy)
            victim.load(view)
            with pytest.raises(IronkeepError):
                _unseal(victim, view, shares)
            assert victim.sealed
        rows[key] = kept


def test_wrong_nonces_and_repeated_shares(view: RowView, keys: list[str], rekey: Rekey) -> None:
    with pytest.raises(InvalidRequest, match="no barrier rekey in progress"):
        rekey.update(view, keys[0], "")
    nonce = rekey.start(3, 2).nonce
    for wrong in ("", nonce.upper(), "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(InvalidRequest, match="incorrect nonce"):
            rekey.update(view, keys[0], wrong)
    rekey.update(view, keys[0], nonce)
    with pytest.raises(InvalidRequest, match="already been provided"):
        rekey.update(view, keys[0].upper(), nonce)
    with pytest.raises(InvalidRequest, match="hex or base64"):
        rekey.update(view, "?", nonce)
    assert rekey.status().progress == 1


def test_wrong_shares_take_nothing_from_the_right_ones(
    seal: Seal, view: RowView, rows: Rows, keys: list[str], rekey: Rekey
) -> None:
    before = dict(rows)
    nonce = rekey.start(3, 2).nonce
    rekey.update(view, keys[1], nonce)
    with pytest.raises(InvalidRequest, match="do not open"):
        rekey.update(view, "00" * 32 + "01", nonce)
    assert rekey.status().progress == 1
    assert rows == before
    assert seal.sealed is False
    done = rekey.update(view, keys[0], nonce)
    assert isinstance(done, RekeyDone)
    assert len(done.keys) == 3


def test_a_second_start_is_refused_and_a_cancelled_rekey_is_gone(
    view: RowView, rows: Rows, keys: list[str], rekey: Rekey
) -> None:
    before = dict(rows)
    rekey.cancel()
    nonce = rekey.start(3, 2).nonce
    with pytest.raises(InvalidRequest, match="already in progress"):
        rekey.start(1, 1)
    rekey.update(view, keys[0], nonce)
    rekey.cancel()
    with pytest.raises(InvalidRequest, match="no barrier rekey"):
        rekey.update(view, keys[1], nonce)
    again = rekey.start(5, 4)
    assert again.nonce != nonce
    assert again.progress == 0
    with pytest.raises(InvalidRequest, match="incorrect nonce"):
        rekey.update(view, keys[1], nonce)
    assert rows == before


def test_two_rekeys_race_and_the_first_wins(
    seal: Seal, view: RowView, keys: list[str], rekey: Rekey, entropy: Entropy
) -> None:
    """The loser gathered all but one of the old shares: its last one must not undo the winner."""
    loser = Rekey(seal, entropy)
    stale = loser.start(1, 1).nonce
    loser.update(view, keys[0], stale)
    rekey.start(3, 2)
    winner = _hex(_finish(rekey, view, keys[:2]))
    with pytest.raises(InvalidRequest, match="no barrier rekey"):
        loser.update(view, keys[1], stale)
    assert loser.status() == IDLE
    seal.close()
    _unseal(seal, view, winner[:2])
    assert seal.sealed is False


def test_sealing_ends_a_rekey(seal: Seal, view: RowView, keys: list[str], rekey: Rekey) -> None:
    nonce = rekey.start(3, 2).nonce
    rekey.update(view, keys[0], nonce)
    seal.close()
    for touch in (
        rekey.status,
        rekey.cancel,
        rekey.verify_status,
        rekey.restart_verification,
        lambda: rekey.start(3, 2),
        lambda: rekey.update(view, keys[1], nonce),
        lambda: rekey.verify(view, keys[1], nonce),
    ):
        with pytest.raises(Sealed):
            touch()
    _unseal(seal, view, keys[:2])
    assert rekey.status() == IDLE
    with pytest.raises(InvalidRequest, match="no barrier rekey"):
        rekey.update(view, keys[1], nonce)


def test_nothing_to_rekey(rekey: Rekey) -> None:
    with pytest.raises(Uninitialised):
        rekey.start(3, 2)


def test_schemes_and_backups_are_checked_first(keys: list[str], rekey: Rekey) -> None:
    assert keys
    with pytest.raises(InvalidRequest, match="greater than one"):
        rekey.start(3, 1)
    with pytest.raises(InvalidRequest, match="PGP"):
        rekey.start(3, 2, backup=True)
    assert rekey.status() == IDLE


def test_a_keyring_rotated_meanwhile_is_kept(
    seal: Seal, view: RowView, keys: list[str], rekey: Rekey, entropy: Entropy
) -> None:
    nonce = rekey.start(3, 2).nonce
    rekey.update(view, keys[0], nonce)
    seal.store_keyring(view, seal.opened.keyring.rotate(entropy, 2))
    done = rekey.update(view, keys[1], nonce)
    assert isinstance(done, RekeyDone)
    seal.close()
    _unseal(seal, view, _hex(done)[:2])
    assert seal.opened.keyring.current.number == 2


def test_a_rekey_that_was_not_persisted_leaves_the_old_shares(
    seal: Seal, view: RowView, rows: Rows, keys: list[str], rekey: Rekey
) -> None:
    before = dict(rows)
    rekey.start(3, 2)
    _finish(rekey, view, keys[:2])
    rows.update(before)
    seal.load(view)
    assert seal.sealed
    _unseal(seal, view, keys[:2])
    assert seal.sealed is False


def test_a_rekey_that_was_persisted_anyway_stays_open(
    seal: Seal, view: RowView, keys: list[str], rekey: Rekey
) -> None:
    rekey.start(3, 2)
    new = _hex(_finish(rekey, view, keys[:2]))
    seal.load(view)
    assert seal.sealed is False
    seal.close()
    _unseal(seal, view, new[:2])
    assert seal.sealed is False


# -- verification ---------------------------------------------------------------------------------


def test_with_verification_the_new_shares_wait(
    seal: Seal, view: RowView, rows: Rows, keys: list[str], rekey: Rekey, entropy: Entropy
) -> None:
    before = dict(rows)
    nonce = rekey.start(3, 3, verify=True).nonce
    with pytest.raises(InvalidRequest, match="no rekey verification"):
        rekey.verify_status()
    done = _finish(rekey, view, keys[:2])
    new = _hex(done)
    assert done.verification_required
    assert done.verification_nonce not in {"", nonce}
    assert rows == before
    status = rekey.status()
    assert (status.nonce, status.verification_nonce) == (nonce, done.verification_nonce)
    assert (status.started, status.verification_required) == (True, True)
    with pytest.raises(InvalidRequest, match="verification must be performed"):
        rekey.update(view, keys[0], nonce)

    untouched = Seal(HOUSE, entropy)
    untouched.load(view)
    _unseal(untouched, view, keys[:2])
    assert untouched.sealed is False

    assert rekey.verify_status().progress == 0
    assert rekey.verify(view, new[0], done.verification_nonce).progress == 1
    assert rekey.verify(view, new[2], done.verification_nonce).complete is False
    verified = rekey.verify(view, new[1], done.verification_nonce)
    assert (verified.complete, verified.progress, verified.t, verified.n) == (True, 3, 3, 3)
    assert rekey.status().started is False
    seal.close()
    with pytest.raises(InvalidRequest, match="do not open"):
        seal.unseal(view, keys[0])
    _unseal(seal, view, new)
    assert seal.sealed is False


def test_old_or_wrong_shares_do_not_verify(
    view: RowView, rows: Rows, keys: list[str], rekey: Rekey
) -> None:
    before = dict(rows)
    rekey.start(3, 2, verify=True)
    done = _finish(rekey, view, keys[:2])
    nonce = done.verification_nonce
    with pytest.raises(InvalidRequest, match="incorrect nonce"):
        rekey.verify(view, _hex(done)[0], done.nonce)
    new = _hex(done)
    rekey.verify(view, new[0], nonce)
    with pytest.raises(InvalidRequest, match="already been provided"):
        rekey.verify(view, new[0], nonce)
    with pytest.raises(InvalidRequest, match="do not open"):
        rekey.verify(view, keys[1], nonce)
    assert rekey.verify_status().progress == 1
    assert rows == before
    assert rekey.verify(view, new[1], nonce).complete


def test_a_restarted_verification_has_another_nonce(
    view: RowView, keys: list[str], rekey: Rekey
) -> None:
    rekey.start(3, 2, verify=True)
    done = _finish(rekey, view, keys[:2])
    rekey.verify(view, _hex(done)[0], done.verification_nonce)
    restarted = rekey.restart_verification()
    assert restarted.progress == 0
    assert restarted.nonce != done.verification_nonce
    with pytest.raises(InvalidRequest, match="incorrect nonce"):
        rekey.verify(view, _hex(done)[0], done.verification_nonce)
    rekey.verify(view, _hex(done)[0], restarted.nonce)
    assert rekey.verify(view, _hex(done)[1], restarted.nonce).complete


def test_a_cancelled_verification_leaves_the_old_shares(
    seal: Seal, view: RowView, rows: Rows, keys: list[str], rekey: Rekey
) -> None:
    before = dict(rows)
    rekey.start(3, 2, verify=True)
    done = _finish(rekey, view, keys[:2])
    rekey.verify(view, _hex(done)[0], done.verification_nonce)
    rekey.cancel()
    with pytest.raises(InvalidRequest, match="no barrier rekey"):
        rekey.verify(view, _hex(done)[1], done.verification_nonce)
    assert rows == before
    seal.close()
    _unseal(seal, view, keys[:2])
    assert seal.sealed is False


# -- with a key file, and limits -------------------------------------------------------------------


def test_the_file_wrap_is_renewed_too(seal: Seal, view: RowView, entropy: Entropy) -> None:
    initialised = seal.initialise(view, 1, 1, 1, with_key_file=True)
    assert initialised.key_file is not None
    key = initialised.keys[0].reveal().hex()
    rekey = Rekey(seal, entropy)
    seal.unseal(view, key)
    with pytest.raises(InvalidRequest, match="key file"):
        rekey.start(1, 1)
    seal.close()
    seal.unseal_with_file(view, initialised.key_file.reveal())
    rekey.start(1, 1)
    done = _finish(rekey, view, [key])
    seal.close()
    assert seal.unseal_with_file(view, initialised.key_file.reveal()).sealed is False
    seal.close()
    assert seal.unseal(view, _hex(done)[0]).sealed is False


def test_the_last_generation(
    view: RowView, keys: list[str], rekey: Rekey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_TERM", 2)
    rekey.start(1, 1)
    new = _hex(_finish(rekey, view, keys[:2]))
    nonce = rekey.start(1, 1).nonce
    with pytest.raises(TooLarge):
        rekey.update(view, new[0], nonce)
