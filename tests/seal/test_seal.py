import base64
from contextlib import suppress
from dataclasses import replace

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ironkeep.core import envelope, shamir
from ironkeep.core.envelope import NONCE_BYTES
from ironkeep.core.errors import (
    IntegrityError,
    InvalidRequest,
    IronkeepError,
    Sealed,
    Uninitialised,
)
from ironkeep.core.ports import Entropy, Row
from ironkeep.core.secret import Secret
from ironkeep.seal import config as seal_config
from ironkeep.seal.config import ShamirWrap, config_key, keyring_key
from ironkeep.seal.seal import Initialised, Seal, SealStatus, check_applicable
from ironkeep.seal.shares import MAX_SPARE
from ironkeep.seal.wraps import encode_file_key
from ironkeep.store.keyring import HOUSE, SegmentId
from ironkeep.store.rows import RowView

Rows = dict[bytes, Row]
WRONG = "00" * 32 + "07"


@pytest.fixture
def seal(entropy: Entropy) -> Seal:
    return Seal(HOUSE, entropy)


@pytest.fixture
def keys(seal: Seal, view: RowView) -> list[str]:
    """The seal is initialised, 3 of 5."""
    return _hex(seal.initialise(view, 1_000, 5, 3))


def _hex(initialised: Initialised) -> list[str]:
    return [key.reveal().hex() for key in initialised.keys]


def _unseal(seal: Seal, view: RowView, keys: list[str]) -> SealStatus:
    for key in keys:
        seal.unseal(view, key)
    return seal.status()


# -- initialise -----------------------------------------------------------------------------------


def test_before_initialisation(seal: Seal, view: RowView) -> None:
    seal.load(view)
    assert seal.status() == SealStatus(initialized=False, sealed=True)
    assert (seal.initialized, seal.sealed) == (False, True)
    for touch in (
        lambda: seal.config,
        lambda: seal.opened,
        lambda: seal.unseal(view, WRONG),
        lambda: seal.unseal_with_file(view, encode_file_key(Secret(bytes(32)))),
    ):
        with pytest.raises(Uninitialised):
            touch()


def test_initialised_and_still_sealed(seal: Seal, view: RowView, keys: list[str]) -> None:
    assert seal.status() == SealStatus(initialized=True, sealed=True, t=3, n=5)
    assert len(set(keys)) == 5
    with pytest.raises(Sealed):
        _ = seal.opened
    with pytest.raises(InvalidRequest, match="already initialized"):
        seal.initialise(view, 1, 1, 1)


def test_what_is_stored_opens_nothing_by_itself(
    seal: Seal, view: RowView, rows: Rows, keys: list[str]
) -> None:
    assert set(rows) == {config_key(HOUSE), keyring_key(HOUSE)}
    assert all(len(key) == 33 and key[0] == 0 for key in rows)
    _unseal(seal, view, keys[:3])
    opened = seal.opened
    stored = b"".join(row.value for row in rows.values())
    secrets = [opened.root_key, opened.keyring.name_key, opened.keyring.current.key]
    for secret in (*secrets, *(Secret(bytes.fromhex(key)) for key in keys)):
        assert secret.reveal() not in stored
        assert secret.reveal().hex() not in repr((opened, seal.config, seal.status()))


@pytest.mark.parametrize(("shares", "threshold"), [(0, 0), (5, 1), (3, 4), (256, 2)])
def test_impossible_schemes_store_nothing(
    seal: Seal, view: RowView, rows: Rows, shares: int, threshold: int
) -> None:
    with pytest.raises(InvalidRequest, match="invalid seal configuration"):
        seal.initialise(view, 1, shares, threshold)
    assert rows == {}
    assert not seal.initialized


@pytest.mark.parametrize(("shares", "threshold"), [(1, 1), (2, 2), (255, 2), (255, 255)])
def test_schemes_up_to_the_limits(seal: Seal, view: RowView, shares: int, threshold: int) -> None:
    keys = _hex(seal.initialise(view, 1, shares, threshold))
    assert len(keys) == shares
    assert _unseal(seal, view, keys[-threshold:]).sealed is False


def test_parameters_of_other_seals_are_refused() -> None:
    check_applicable({"secret_shares": 5, "pgp_keys": None, "recovery_shares": 0})
    with pytest.raises(
        InvalidRequest,
        match=r"^parameters pgp_keys,recovery_shares not applicable to seal type shamir$",
    ):
        check_applicable({"recovery_shares": 5, "pgp_keys": ["a"]})


# -- unseal ---------------------------------------------------------------------------------------


def test_share_by_share(seal: Seal, view: RowView, keys: list[str]) -> None:
    first = seal.unseal(view, keys[4])
    assert (first.progress, first.sealed) == (1, True)
    assert len(first.nonce) == 36
    second = seal.unseal(view, keys[0])
    assert (second.progress, second.nonce) == (2, first.nonce)
    done = seal.unseal(view, keys[2])
    assert done == SealStatus(initialized=True, sealed=False, t=3, n=5)
    assert seal.opened.keyring.current.created_ns == 1_000


def test_base64_and_hex_in_any_case(seal: Seal, view: RowView, keys: list[str]) -> None:
    seal.unseal(view, base64.b64encode(bytes.fromhex(keys[0])).decode())
    seal.unseal(view, keys[1].upper())
    assert seal.unseal(view, keys[2]).sealed is False


def test_a_duplicate_share_counts_once(seal: Seal, view: RowView, keys: list[str]) -> None:
    seal.unseal(view, keys[0])
    again = seal.unseal(view, base64.b64encode(bytes.fromhex(keys[0])).decode())
    assert again.progress == 1
    assert seal.unseal(view, keys[1]).progress == 2


def test_a_reset_takes_the_nonce_and_renames_the_attempt(
    seal: Seal, view: RowView, keys: list[str]
) -> None:
    before = seal.unseal(view, keys[0])
    for nonce in ("", "x", "\ud800", before.nonce[:-1]):
        with pytest.raises(InvalidRequest, match="needs the nonce"):
            seal.unseal(view, "", reset=True, nonce=nonce)
    assert seal.status().progress == 1
    assert seal.unseal(view, "", reset=True, nonce=before.nonce) == SealStatus(True, True, 3, 5)
    after = seal.unseal(view, keys[1])
    assert after.progress == 1
    assert after.nonce not in {"", before.nonce}
    seal.close()
    with pytest.raises(InvalidRequest, match="needs the nonce"):
        seal.unseal(view, "", reset=True, nonce=after.nonce)


def unchecked(seal: Seal, view: RowView, keys: list[str]) -> None:
    """Store the seal as it was before shares had checks, and take that."""
    _unseal(seal, view, keys[:3])
    wrapping = AESGCM(shamir.combine([bytes.fromhex(key) for key in keys[:3]]))
    root_key = seal.opened.root_key.reveal()
    seal.close()
    aad = b"ironkeep/seal/v1\0shamir\0house\0" + bytes([5, 3])
    wrap = ShamirWrap(5, 3, envelope.encrypt(wrapping, 1, bytes(NONCE_BYTES), root_key, aad))
    old = msgspec.structs.replace(seal.config, shamir=wrap, checks=())
    assert old.encode()[:1] == seal_config.UNCHECKED
    view.put(config_key(HOUSE), Row(old.encode()))
    seal.load(view)


@pytest.mark.parametrize("checked", [True, False])
def test_wrong_shares_take_nothing_from_the_right_ones(
    seal: Seal, view: RowView, keys: list[str], entropy: Entropy, view_over: type, checked: bool
) -> None:
    """A stranger gives other bytes, a forged coordinate, and a share of another vault."""
    other = _hex(Seal(HOUSE, entropy).initialise(view_over({}), 1, 5, 3))[3]
    forged = "ab" * 32 + keys[2][-2:]
    if not checked:
        unchecked(seal, view, keys)
    for wrong in (WRONG, forged, other):
        seal.unseal(view, keys[0])
        seal.unseal(view, keys[1])
        with pytest.raises(InvalidRequest, match=r"do not open the seal.*kept"):
            seal.unseal(view, wrong)
        assert seal.status().progress == 2
        assert seal.unseal(view, keys[2]).sealed is False
        seal.close()


@pytest.mark.parametrize("checked", [True, False])
def test_wrong_shares_before_the_right_ones_do_no_harm(
    seal: Seal, view: RowView, keys: list[str], checked: bool
) -> None:
    if not checked:
        unchecked(seal, view, keys)
    for number in range(2):
        with suppress(InvalidRequest):
            seal.unseal(view, "cd" * 32 + f"{number + 8:02x}")
    for key in keys[:3]:
        with suppress(InvalidRequest):
            seal.unseal(view, key)
    assert not seal.sealed


def test_without_checks_no_more_than_a_few_are_kept(
    seal: Seal, view: RowView, keys: list[str]
) -> None:
    unchecked(seal, view, keys)
    for number in range(3 + MAX_SPARE):
        with suppress(InvalidRequest):
            seal.unseal(view, "cd" * 32 + f"{number + 8:02x}")
    nonce = seal.status().nonce
    with pytest.raises(InvalidRequest, match="start again"):
        seal.unseal(view, keys[0])
    assert (seal.status().progress, bool(nonce)) == (0, True)
    assert _unseal(seal, view, keys[:3]).sealed is False


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "must be specified"),
        ("not a key!", "valid hex or base64"),
        ("\ud800", "valid hex or base64"),
        ("é" * 44, "valid hex or base64"),
        (" " + "00" * 32, "valid hex or base64"),
        ("00" * 32, "shorter than minimum 33"),
        ("00" * 34, "longer than maximum 33"),
        ("A" * 45 + "=" * 3, "valid hex or base64|longer|shorter"),
        ("00" * 100_000, "longer than maximum 33"),
    ],
)
def test_text_that_is_no_share(
    seal: Seal, view: RowView, keys: list[str], key: str, says: str
) -> None:
    seal.unseal(view, keys[0])
    with pytest.raises(InvalidRequest, match=says):
        seal.unseal(view, key)
    assert seal.status().progress == 1


def test_migration_is_refused(seal: Seal, view: RowView, keys: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="no migration seal found"):
        seal.unseal(view, keys[0], migrate=True)
    assert seal.status().progress == 0


def test_shares_given_while_open_change_nothing(seal: Seal, view: RowView, keys: list[str]) -> None:
    _unseal(seal, view, keys[:3])
    opened = seal.opened
    assert _unseal(seal, view, keys[:4]).progress == 0
    assert seal.opened is opened


def test_closing_drops_keys_and_progress(seal: Seal, view: RowView, keys: list[str]) -> None:
    seal.unseal(view, keys[0])
    seal.close()
    assert seal.status().progress == 0
    _unseal(seal, view, keys[:3])
    seal.close()
    seal.close()
    with pytest.raises(Sealed):
        _ = seal.opened
    assert _unseal(seal, view, keys[1:4]).sealed is False


def test_a_new_process_takes_the_stored_seal(
    view: RowView, keys: list[str], entropy: Entropy
) -> None:
    fresh = Seal(HOUSE, entropy)
    fresh.load(view)
    assert fresh.status() == SealStatus(True, True, 3, 5)
    assert _unseal(fresh, view, keys[:3]).sealed is False


# -- the key file ---------------------------------------------------------------------------------


def test_a_key_file_opens_the_same_keys(seal: Seal, view: RowView) -> None:
    initialised = seal.initialise(view, 1, 3, 2, with_key_file=True)
    assert initialised.key_file is not None
    content = initialised.key_file.reveal()
    assert content.startswith(b"ironkeep-seal-key-1:")
    assert seal.unseal_with_file(view, content).sealed is False
    root_key = seal.opened.root_key
    seal.close()
    assert _unseal(seal, view, _hex(initialised)[:2]).sealed is False
    assert seal.opened.root_key.equals(root_key.reveal())


def test_another_key_file_does_not_open(seal: Seal, view: RowView) -> None:
    seal.initialise(view, 1, 1, 1, with_key_file=True)
    with pytest.raises(InvalidRequest, match="another vault"):
        seal.unseal_with_file(view, encode_file_key(Secret(bytes(32))))
    assert seal.sealed


def test_a_seal_without_file_wrap_refuses_files(seal: Seal, view: RowView, keys: list[str]) -> None:
    assert keys
    with pytest.raises(InvalidRequest, match="no file wrap"):
        seal.unseal_with_file(view, encode_file_key(Secret(bytes(32))))


# -- tampering with what is readable while sealed --------------------------------------------------


def test_an_edited_threshold_breaks_the_seal(
    seal: Seal, view: RowView, rows: Rows, keys: list[str]
) -> None:
    config = seal.config
    easier = msgspec.structs.replace(
        config, shamir=msgspec.structs.replace(config.shamir, threshold=2)
    )
    rows[config_key(HOUSE)] = Row(easier.encode())
    seal.load(view)
    assert seal.status().t == 2
    seal.unseal(view, keys[0])
    with pytest.raises(InvalidRequest):
        seal.unseal(view, keys[1])
    more = msgspec.structs.replace(
        config, shamir=msgspec.structs.replace(config.shamir, threshold=4)
    )
    rows[config_key(HOUSE)] = Row(more.encode())
    seal.load(view)
    _unseal(seal, view, keys[:3])
    with pytest.raises(InvalidRequest):
        seal.unseal(view, keys[3])


def test_any_changed_byte_of_the_stored_seal_is_refused(
    seal: Seal, view: RowView, rows: Rows, keys: list[str], entropy: Entropy
) -> None:
    for key in (config_key(HOUSE), keyring_key(HOUSE)):
        good = rows[key]
        for at in range(len(good.value)):
            value = bytearray(good.value)
            value[at] ^= 1
            rows[key] = Row(bytes(value))
            victim = Seal(HOUSE, entropy)
            with pytest.raises(IronkeepError):  # noqa: PT012 - either step may notice
                victim.load(view)
                _unseal(victim, view, keys[: victim.config.shamir.threshold])
            assert victim.sealed
        rows[key] = good
    assert _unseal(seal, view, keys[:3]).sealed is False


@pytest.mark.parametrize("row", [None, Row(b""), Row(bytes(100)), Row(b"\x01" + bytes(80))])
def test_a_missing_or_foreign_keyring_is_an_integrity_error(
    seal: Seal, view: RowView, rows: Rows, keys: list[str], row: Row | None
) -> None:
    if row is None:
        del rows[keyring_key(HOUSE)]
    else:
        rows[keyring_key(HOUSE)] = row
    _unseal(seal, view, keys[:2])
    with pytest.raises(IntegrityError):
        seal.unseal(view, keys[2])
    assert seal.sealed


def test_a_keyring_with_a_due_time_is_refused(
    seal: Seal, view: RowView, rows: Rows, keys: list[str]
) -> None:
    rows[keyring_key(HOUSE)] = replace(rows[keyring_key(HOUSE)], due_ns=1)
    _unseal(seal, view, keys[:2])
    with pytest.raises(IntegrityError):
        seal.unseal(view, keys[2])


def test_segments_do_not_open_one_another(
    seal: Seal, view: RowView, rows: Rows, keys: list[str], entropy: Entropy
) -> None:
    finance = SegmentId("finance")
    other = Seal(finance, entropy)
    other.initialise(view, 1, 5, 3)
    assert len(rows) == 4
    for key in keys[:3]:
        with pytest.raises(InvalidRequest):
            other.unseal(view, key)
    rows[config_key(finance)] = rows[config_key(HOUSE)]
    with pytest.raises(IntegrityError, match="another segment"):
        other.load(view)
    assert not other.initialized
    renamed = msgspec.structs.replace(seal.config, segment="finance")
    rows[config_key(finance)] = Row(renamed.encode())
    other.load(view)
    _unseal(other, view, keys[:2])
    with pytest.raises(InvalidRequest):
        other.unseal(view, keys[2])


# -- the keyring under the seal, and reloading -----------------------------------------------------


def test_a_rotated_keyring_is_stored(
    seal: Seal, view: RowView, keys: list[str], entropy: Entropy
) -> None:
    with pytest.raises(Sealed):
        seal.store_keyring(view, None)  # type: ignore[arg-type]
    _unseal(seal, view, keys[:3])
    seal.store_keyring(view, seal.opened.keyring.rotate(entropy, 2_000))
    assert seal.opened.keyring.current.number == 2
    fresh = Seal(HOUSE, entropy)
    fresh.load(view)
    _unseal(fresh, view, keys[:3])
    assert fresh.opened.keyring.encode() == seal.opened.keyring.encode()


def test_an_open_seal_stays_open_over_a_reload(
    seal: Seal, view: RowView, rows: Rows, keys: list[str], entropy: Entropy
) -> None:
    _unseal(seal, view, keys[:3])
    before = dict(rows)
    seal.store_keyring(view, seal.opened.keyring.rotate(entropy, 2_000))
    rows.update(before)  # the commit did not persist
    seal.load(view)
    assert seal.opened.keyring.current.number == 1


def test_a_reload_after_an_unpersisted_initialisation(
    seal: Seal, view: RowView, rows: Rows
) -> None:
    seal.initialise(view, 1, 3, 2)
    rows.clear()
    seal.load(view)
    assert seal.status() == SealStatus(initialized=False, sealed=True)
    assert len(_hex(seal.initialise(view, 1, 3, 2))) == 3
