"""The trust file: the pack keys, the log key and the witnesses with their quorum to be pinned.

    ironkeep-trust/v1
    pack <vkey>

    <a tlog-policy (c2sp.org/tlog-policy), to the end of the file>

The verifier's user must obtain this file through a channel separate from the pack: a forger can
generate every key anew and produce a pack that is consistent with them.
"""

from dataclasses import dataclass
from typing import Final, Self

from ironkeep.core.errors import InvalidRequest
from ironkeep.tlog.note import KeyType, VerifierKey
from ironkeep.tlog.policy import MAX_POLICY, Policy

MAX_PACK_KEYS: Final = 16
"""Room for one key of each server and for its predecessors."""

_MAGIC: Final = "ironkeep-trust/v1"
_PACK: Final = "pack "
_MAX_TRUST: Final = MAX_POLICY + (1 << 14)


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Pinned keys: one of `packs` must have signed the pack; its log must satisfy `policy`."""

    packs: tuple[VerifierKey, ...]
    policy: Policy

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse a trust file; raise InvalidRequest when it is malformed."""
        try:
            text = data.decode() if len(data) <= _MAX_TRUST else ""
        except UnicodeDecodeError:
            text = ""
        head, blank, policy = text.partition("\n\n")
        magic, *lines = head.split("\n")
        if magic != _MAGIC or not blank:
            raise InvalidRequest(f"not a trust file: it starts with {_MAGIC} and ends in a policy")
        if not 0 < len(lines) <= MAX_PACK_KEYS or not all(map(_is_pack, lines)):
            raise InvalidRequest(f"a trust file must have 1 to {MAX_PACK_KEYS} lines `pack <vkey>`")
        keys = tuple(VerifierKey.parse(line.removeprefix(_PACK)) for line in lines)
        if any(key.kind is not KeyType.ED25519 for key in keys):
            raise InvalidRequest("a pack key must be of type Ed25519 (01)")
        return cls(keys, Policy.parse(policy.encode()))

    def serialise(self) -> bytes:
        """Return the bytes of the file."""
        lines = [_MAGIC, *(f"{_PACK}{key.format()}" for key in self.packs), "", ""]
        return "\n".join(lines).encode() + self.policy.text


def _is_pack(line: str) -> bool:
    return line.startswith(_PACK)
