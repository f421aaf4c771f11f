"""Nonces for devices' signatures; giving one out stores nothing.

    nonces / key         -> the key of the MAC
    nonces / used / id   -> time (POSIX ns) up to which a device's nonces are used up

A nonce is base64url of 0x01 ‖ time ns (8) ‖ keyed BLAKE2b-32 of device and time. Nonce requests use
no storage, so strangers may make any number of them. Using a nonce also uses up all older ones of
its device: each is accepted once, and one number per device is enough to know.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from ironkeep.core.errors import PermissionDenied
from ironkeep.core.ids import DeviceId
from ironkeep.plugin.call import Call
from ironkeep.store.barrier import Store

LIFE_NS: Final = 5 * 60 * 1_000_000_000
"""A device signs and sends within seconds; a slow security token or network gets minutes."""
AHEAD_NS: Final = 1_000_000_000
"""Longest time by which the time in a device's nonce may be ahead of the clock."""

_VERSION: Final = b"\x01"
_KEY: Final = "nonces/key"
_USED: Final = "nonces/used"
_KEY_BYTES: Final = 32
_TIME_BYTES: Final = 8
_MAC_BYTES: Final = 32
_TEXT: Final = 56
"""Characters of a nonce: 41 bytes in base64url, padded."""
_PERSON: Final = b"ironkeep-devnonc"


def give(call: Call, device: DeviceId) -> str:
    """Return a fresh nonce for a device id, whether or not such a device exists."""
    key = call.store.get(_KEY)
    if key is None:
        key = call.entropy.token(_KEY_BYTES)
        call.store.put(_KEY, key)
    # Later than the last used nonce, even within one tick of the clock, so it can still be used.
    return _spell(key, device, max(call.now_ns, _used_until(call.store, device) + 1))


def take(call: Call, device: DeviceId, nonce: str) -> None:
    """Use a nonce up; raise PermissionDenied if it is not fresh or not this device's.

    It is written in the transaction that a refusal keeps, so a signed message that was refused
    cannot be sent again.
    """
    store = call.lasting
    key, time_ns = store.get(_KEY), _time_of(nonce)
    known = key is not None and compare_digest(
        _spell(key, device, time_ns).encode(), nonce.encode("utf-8", "replace")
    )
    if not known or not -AHEAD_NS <= call.now_ns - time_ns < LIFE_NS:
        raise PermissionDenied("the nonce is not fresh: ask for a new one")
    if time_ns <= _used_until(store, device):
        raise PermissionDenied("the nonce was used: ask for a new one")
    store.put(f"{_USED}/{device}", time_ns.to_bytes(_TIME_BYTES, "big"))


def _used_until(store: Store, device: DeviceId) -> int:
    return int.from_bytes(store.get(f"{_USED}/{device}") or b"", "big")


def _spell(key: bytes, device: DeviceId, time_ns: int) -> str:
    time = time_ns.to_bytes(_TIME_BYTES, "big")
    mac = blake2b(
        time + device.encode("utf-8", "replace"), digest_size=_MAC_BYTES, key=key, person=_PERSON
    )
    return urlsafe_b64encode(_VERSION + time + mac.digest()).decode()


def _time_of(nonce: str) -> int:
    """Return the time in a nonce, 0 for an invalid one."""
    try:
        raw = urlsafe_b64decode(nonce) if len(nonce) == _TEXT else b""
    except (binascii.Error, ValueError):
        raw = b""
    return int.from_bytes(raw[1 : 1 + _TIME_BYTES], "big")
