"""Routes for the evidence pack and the keys that verify it.

pack-key      the seed of the Ed25519 key that signs packs, generated at its first use
"""

from typing import Any, Final

from ironkeep.core.errors import IntegrityError
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.incident.case.cases import At
from ironkeep.incident.case.workspace import Workspace, instant, load
from ironkeep.incident.evidence.archive import covered, policy_of
from ironkeep.incident.evidence.packer import signed
from ironkeep.incident.verifier.trust import TrustedKeys
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.tlog.note import KeyType, SigningKey

CONTENT_TYPE: Final = "application/vnd.dsse.envelope.v1+json"

_VERSION: Final = b"\x01"
_PATH: Final = "pack-key"
_SEED: Final = 32


def pack(call: Call, given: At) -> Suspend:
    """Return the signed pack; its verdict is computed where the journal is read."""
    as_of = instant(given.as_of, call.now_ns) if given.as_of else call.now_ns
    load(call.store, given.id)  # an unknown case is refused without a wait

    def gathered(key: SigningKey, answer: Any) -> Suspend:
        if isinstance(answer, Exception):
            raise answer
        kind, payload = answer
        return Suspend(lambda: signed(kind, payload, key), _answer)

    def ask(later: Call) -> Suspend:
        archive, key = Workspace(later, given.id).archive, pack_key(later)
        # A pack key generated in this request must be durable before it signs anything.
        question = archive.ask_pack(given.id, as_of)
        return Suspend(question, lambda _call, answer: gathered(key, answer), durable=True)

    return covered(call, ask)


def _answer(_call: Call, made: bytes | Exception) -> Response:
    if isinstance(made, Exception):
        raise made
    return Response(raw=(CONTENT_TYPE, made))


def trust(call: Call) -> Response:
    """Return the keys to pin: this server's pack key, log key and witnesses."""
    key = pack_key(call).verifier_key(KeyType.ED25519)
    text = TrustedKeys((key,), policy_of(call.use(House))).serialise().decode()
    return Response(data={"trust": text})


def pack_key(call: Call) -> SigningKey:
    """Return the key that signs packs; generate and store it at its first use."""
    raw = call.store.get(_PATH)
    if raw is None:
        raw = _VERSION + call.entropy.token(_SEED)
        call.store.put(_PATH, raw)
    if raw[:1] != _VERSION or len(raw) != 1 + _SEED:
        raise IntegrityError("the key that signs packs is damaged or of an unknown version")
    return SigningKey(f"{call.use(House).journal.origin}/cases", Secret(raw[1:]))


ROUTES: Final = (
    Route(
        Operation.READ, "cases/{id}/pack", pack, At, sudo=True, audited=("id",),
        help="The signed evidence pack.",
    ),
    Route(Operation.READ, "trust", trust, help="The keys that verify packs."),
)  # fmt: skip
