"""Every parser that is reached before authentication, or by bytes from systems that we connect to.

A literal table: `test_meter.py` feeds each one, and finds those that are missing here.
"""

from collections.abc import Callable
from typing import Any, Final, cast

import httpx

from ironkeep.access.devices import authority as device_authority
from ironkeep.access.posture import (
    issuers as posture_issuers,
    osquery as posture_osquery,
    receiver as posture_receiver,
    reports as posture,
)
from ironkeep.agent import proxy, vault as agent_vault
from ironkeep.api.callers import Callers
from ironkeep.api.http import strict, wire
from ironkeep.api.http.head import RequestHeads
from ironkeep.auth.cert import chain
from ironkeep.auth.jwt import claims, keys
from ironkeep.auth.passkey import loopback
from ironkeep.cli.client.loopback import Loopback
from ironkeep.connectors.postgresql import redaction, scram, wire as postgresql
from ironkeep.core.device import kev, posture_report, proof as device_proof, software_version
from ironkeep.core.ids import DeviceId
from ironkeep.core.secret import Secret
from ironkeep.core.webauthn import webauthn
from ironkeep.identity import batch_token
from ironkeep.journal import epochs
from ironkeep.plugin import cidr, fields
from ironkeep.plugin.peer import Peer
from ironkeep.seal import shares
from ironkeep.tlog import checkpoint, mirror as uploads, note, proof, tile, wire as lines, witness
from ironkeep.tlog.cosignature import CosignatureVerifier
from tests.meter.meter import Parser
from tests.support.log.sample_log import sample_cosigner

DEVICE: Final = DeviceId("00000000-0000-4000-8000-000000000000")
PARTY: Final = webauthn.Party("localhost", ("http://localhost",))
JSON: Final = (
    b"@",
    b'{"a":"@"}',
    b'{"a":[@]}',
    b'{"a":@}',
    b'{"a":[@',
    b'{"@":1}',
    b"{@}",
    b'{"a":-@.1}',
)
FORM: Final = b"application/x-www-form-urlencoded"
NOTE: Final = (
    b"@",
    b"a.example/log\n5\n" + b"A" * 43 + b"=\n@\n\n\xe2\x80\x94 a AAAA\n",
    b"a.example/log\n5\n" + b"A" * 43 + b"=\n\n@\n",
    b"@\n5\n\n\xe2\x80\x94 a AAAA\n",
)


def text(run: Callable[[str], object]) -> Callable[[bytes], object]:
    """Give a parser of text what a decoded request would hold."""
    return lambda raw: run(raw.decode("utf-8", "replace"))


def spelt(raw: bytes) -> str:
    return webauthn.encode(raw)


def request(raw: bytes) -> object:
    target, _, query = raw.partition(b"?")
    return wire.parse("GET", b"/v1/" + target, query, {}, b"", "")


def assertion(raw: bytes) -> object:
    """Verify an assertion each of whose parts is raw."""
    signed = webauthn.Signed(b"", raw[: webauthn.MAX_CLIENT_DATA], raw, raw)
    return webauthn.verify_assertion(PARTY, b"c", raw, signed)


def authenticator_data(raw: bytes) -> object:
    return webauthn._authenticator_data(raw[: webauthn.MAX_AUTHENTICATOR_DATA], PARTY)


def cose_key(raw: bytes) -> object:
    return webauthn._cose_key(raw[: webauthn.MAX_AUTHENTICATOR_DATA])


def registration(raw: bytes) -> object:
    client = b'{"type":"webauthn.create","challenge":"Yw","origin":"http://localhost"}'
    response = {"clientDataJSON": spelt(client), "attestationObject": spelt(raw)}
    document = {"type": "public-key", "rawId": "AA", "response": response}
    return webauthn.verify_registration(PARTY, b"c", webauthn.Demands(), document)


def credential(raw: bytes) -> object:
    value = raw.decode("latin-1")
    names = ("clientDataJSON", "authenticatorData", "signature", "userHandle")
    document = {"type": "public-key", "rawId": value, "response": dict.fromkeys(names, value)}
    return webauthn.signed_of(document)


def device_signature(raw: bytes) -> None:
    device_proof.verify(raw, raw, raw)


def osquery(raw: bytes) -> object:
    """Take what a host answers; its body was JSON."""
    value = raw.decode("utf-8", "replace")
    row = {"platform": value, "version": value, "name": value, "port": value, "address": value}
    queries = {f"ironkeep.{name}.n": [row] for name in posture_osquery.QUERIES}
    given = {"queries": queries, "statuses": dict.fromkeys(queries, "0")}
    nonce, answers = posture_osquery._answers(given)
    return posture_osquery.translate(DEVICE, nonce, 1, answers)


def jwks(raw: bytes) -> object:
    return keys.keys_of_jwks.__wrapped__(raw.decode("utf-8", "replace"))


def jwt(token: str) -> object:
    keys.header_of(token)
    return keys.verify(token, (), ("ES256",))


def pointer(raw: bytes) -> object:
    return claims.find({"a": {"a": 1}}, raw.decode("latin-1"))


def server_first(raw: bytes) -> object:
    return scram.Exchange(Secret(b"p"), b"n").final(raw)


def server_messages(raw: bytes) -> object:
    return list(postgresql.Reader(long_rows=True).feed(raw))


def shown(raw: bytes) -> object:
    value = raw.decode("utf-8", "replace")
    hidden = redaction.Redaction(Secret(b"k" * 32))
    return [hidden.shown(shape, value, value[:9]) for shape in redaction.Shape]


def versions(raw: bytes) -> object:
    value = raw.decode("latin-1")
    for scheme in ("deb", "dotted"):
        try:
            software_version.compare(cast("Any", scheme), value, value)
        except software_version.Unparsable:
            continue
    return None


def step_up(raw: bytes) -> object:
    challenge = f'error="insufficient_user_authentication", {raw.decode("latin-1")}'
    cleaned = challenge.replace("\r", "").replace("\n", "").encode("ascii", "replace")
    return proxy._step_up(httpx.Response(403, headers={b"www-authenticate": cleaned}))


def package(raw: bytes) -> object:
    return uploads.split_package(raw, 256)


def caller(raw: bytes) -> object:
    host = raw.replace(b"\n", b"")
    return Callers("https://a.example", ["b.example"]).refusal(
        {b"host": host, b"origin": host, b"sec-fetch-site": host}, "127.0.0.1", page=False
    )


def cosignature(raw: bytes) -> object:
    verifier = CosignatureVerifier(sample_cosigner("w.example").key)
    return witness.read_cosignature(raw, checkpoint.Checkpoint("a", 1, bytes(32)), verifier)


LOOPBACK: Final = Loopback("s")

PARSERS: Final = (
    # A head, before it is known whose.
    Parser(
        "api.head:RequestHeads.find",
        lambda raw: RequestHeads().find(raw),
        (b"Host: x\r\n@\r\n", b"@", b"Host: x\r\na: @\r\n", b"Host: @\r\n"),
        2_048,
    ),
    Parser("api.http.strict:is_host", strict.is_host, (b"@", b"[@]:1", b"a:@"), 16_384),
    Parser("api.callers:Callers.refusal", caller, (b"@", b"http://@", b"http://[@]"), 16_384),
    Parser("api.http.wire:parse", request, (b"@", b"a/@", b"a?@", b"a?a=@", b"a?@=1"), 16_384),
    Parser(
        "api.http.wire:from_headers",
        lambda raw: wire.from_headers({b"x-vault-token": raw, b"x-vault-wrap-ttl": raw}),
        most=16_384,
    ),
    Parser("plugin.fields:duration", text(fields.duration), most=16_384),
    Parser("plugin.cidr:parse_address", text(cidr.parse_address), (b"@", b"[@]:1"), 1_024),
    Parser("plugin.peer:Peer.of", Peer.of, (b"@", b"\x30\x82\xff\xff@"), 17_000),
    Parser(
        "identity.batch_token:open_token",
        lambda raw: batch_token.open_token(b"k" * 32, raw),
        (b"@", b"hvb.@"),
        9_000,
    ),
    # Bodies.
    Parser("api.http.wire:parse_json", wire.parse_json, JSON),
    Parser(
        "api.http.wire:parse_body",
        lambda raw: wire.parse_body(raw, FORM),
        (b"a=@", b"@=1", b"@"),
        wire.MAX_FORM + 9,
    ),
    Parser("seal.shares:decode_share", text(shares.decode_share)),
    # Logins.
    Parser(
        "core.webauthn.webauthn:decode", lambda raw: webauthn.decode(raw.decode("latin-1"), 32_768)
    ),
    Parser("core.webauthn.webauthn:signed_of", credential),
    Parser(
        "core.webauthn.webauthn:verify_assertion", assertion, (b"@", b'{"type":"@"}', b'{"a":@}')
    ),
    Parser(
        "core.webauthn.webauthn:_authenticator_data",
        authenticator_data,
        (b"@", b"\x00" * 32 + b"\xc5@", b"\x00" * 32 + b"\xc5" + b"\x00" * 22 + b"@"),
        webauthn.MAX_AUTHENTICATOR_DATA,
    ),
    Parser(
        "core.webauthn.webauthn:_cose_key",
        cose_key,
        (b"@", b"\xa2\x01\x02\x03@", b"\x99\x7f\xff@", b"\xb9\x7f\xff@"),
        webauthn.MAX_AUTHENTICATOR_DATA,
    ),
    Parser(
        "core.webauthn.webauthn:verify_registration",
        registration,
        (b"@", b"\xa3cfmtdnonehauthData@", b"\x99\x7f\xff@", b"\xb9\x7f\xff@"),
        33_000,
    ),
    Parser("auth.passkey.loopback:parse", text(loopback.parse)),
    Parser(
        "auth.jwt.keys:header_of",
        text(keys.header_of),
        (b"@", b"eyJhbGciOiJFUzI1NiJ9.@.AA", b"@.@.@", b"@.e30.AA"),
        16_400,
    ),
    Parser(
        "auth.jwt.keys:verify",
        text(jwt),
        (b"@", b"eyJhbGciOiJFUzI1NiJ9.@.AA", b"eyJhbGciOiJFUzI1NiJ9.e30.@"),
        16_400,
    ),
    Parser("auth.jwt.claims:find", pointer, (b"@", b"/a/@", b"/@")),
    Parser("auth.cert.chain:read_leaf", chain.read_leaf, (b"@", b"\x30\x82\xff\xff@"), 17_000),
    # Devices and what reports on them.
    Parser("core.device.proof:device_key", device_proof.device_key, (b"@", b"\x30\x59@")),
    Parser("core.device.proof:verify", device_signature),
    Parser(
        "access.devices.authority:requested_key",
        text(device_authority.requested_key),
        (b"@", b"-----BEGIN CERTIFICATE REQUEST-----\n@\n-----END CERTIFICATE REQUEST-----\n"),
    ),
    Parser("core.device.posture_report:decode", posture_report.decode, JSON),
    Parser("access.posture.reports:parsed", lambda raw: posture.parsed(raw, DEVICE), JSON),
    Parser("access.posture.osquery:translate", osquery, most=32_768),
    Parser(
        "core.device.software_version:compare", versions, (b"@", b"1:@-1", b"1.@", b"a@1"), 4_096
    ),
    Parser(
        "access.posture.receiver:_unverified",
        text(posture_receiver._unverified),
        (b"@", b"eyJhbGciOiJFUzI1NiJ9.@.AA", b"@.e30.AA", b"eyJhbGciOiJFUzI1NiJ9.e30.@"),
        posture_receiver.MAX_SET,
    ),
    Parser("access.posture.receiver:_json", posture_receiver._json, JSON),
    Parser(
        "access.posture.issuers:keys_of", text(posture_issuers.keys_of), (*JSON, b'{"keys":[@]}')
    ),
    # Witness and mirror.
    Parser(
        "tlog.witness:AddCheckpoint.parse",
        witness.AddCheckpoint.parse,
        (b"@", b"old 0\n@\n\n", b"old @\n\n", *(b"old 0\n\n" + each for each in NOTE)),
    ),
    Parser("tlog.note:Note.parse", note.Note.parse, NOTE),
    Parser(
        "tlog.note:Signature.parse",
        text(note.Signature.parse),
        (b"@", b"\xe2\x80\x94 a @", b"\xe2\x80\x94 @ AAAA"),
    ),
    Parser("tlog.checkpoint:Checkpoint.parse", checkpoint.Checkpoint.parse, NOTE),
    Parser(
        "tlog.tile:Tile.parse",
        text(tile.Tile.parse),
        (b"tile/@", b"tile/0/@", b"tile/entries/x001/@"),
    ),
    Parser("tlog.tile:decode_entries", lambda raw: tile.decode_entries(raw, 256)),
    Parser("tlog.mirror:Upload.split", uploads.Upload.split, (b"@", b"\x00\x01a@")),
    Parser("tlog.mirror:split_package", package, (b"@", b"\x00\x00" * 256 + b"@")),
    # What other systems answer: witnesses, mirrors, identity providers, databases, a vault.
    Parser("tlog.witness:read_cosignature", cosignature, NOTE),
    Parser("tlog.witness:read_size", witness.read_size),
    Parser(
        "tlog.mirror:MirrorInfo.parse", uploads.MirrorInfo.parse, (b"@", b"1\n@\n\n", b"1\n2\n@\n")
    ),
    Parser("tlog.proof:LogProof.parse", proof.LogProof.parse, (b"@", b"c2sp.org/tlog-proof@v1\n@")),
    Parser("tlog.wire:decode_base64", text(lines.decode_base64)),
    Parser("tlog.wire:decode_hash", text(lines.decode_hash)),
    Parser("tlog.wire:decode_decimal", text(lines.decode_decimal)),
    Parser("tlog.wire:decode_text", lambda raw: lines.decode_text(raw, 1 << 20)),
    Parser("journal.epochs:split_origin", text(epochs.split_origin)),
    Parser(
        "auth.jwt.keys:keys_of_jwks",
        jwks,
        (
            *JSON,
            b'{"keys":[@]}',
            b'{"keys":[{"kty":"RSA","e":"AQAB","n":"@"}]}',
            b'{"keys":[{"kty":"EC","crv":"P-256","x":"@","y":"@"}]}',
        ),
        32_768,
    ),
    Parser("core.device.kev:parse", kev.parse, (*JSON, b'{"vulnerabilities":[@]}')),
    Parser(
        "connectors.postgresql.scram:Exchange.final",
        server_first,
        (b"@", b"r=n@,s=AAAA,i=1", b"r=nn,s=@,i=1", b"r=nn,s=AAAA,i=@"),
    ),
    Parser(
        "connectors.postgresql.wire:Reader.feed",
        server_messages,
        (b"@", b"D\x00\x00\x00\x04" * 99 + b"@"),
    ),
    Parser("connectors.postgresql.wire:columns", postgresql.columns, (b"@", b"\x7f\xff@")),
    Parser("connectors.postgresql.wire:cells", postgresql.cells, (b"@", b"\x7f\xff@")),
    Parser("connectors.postgresql.wire:parameter", postgresql.parameter),
    Parser("connectors.postgresql.wire:authentication", postgresql.authentication),
    Parser("connectors.postgresql.wire:mechanisms", postgresql.mechanisms),
    Parser("connectors.postgresql.wire:sqlstate", postgresql.sqlstate),
    Parser(
        "connectors.postgresql.redaction:Redaction.shown",
        shown,
        (b"@", b"a=@", b"a='@", b"[@]", b'["@"]'),
    ),
    Parser("agent.vault:_data", lambda raw: agent_vault._data(200, raw), JSON),
    Parser(
        "agent.proxy:_step_up",
        step_up,
        (
            b"@",
            b'error_description="@',
            b'error_description="http://@',
            b'error_description="https://a/ui/step-up/@"',
        ),
    ),
    Parser("agent.proxy:is_loopback", text(proxy.is_loopback), (b"@", b"[@]:1", b"1@")),
    Parser(
        "cli.client.loopback:Loopback.code_in",
        LOOPBACK.code_in,
        (b"@", b"GET /cb?@ HTTP/1.1\r\n", b"GET /cb?code=@&state=s HTTP/1.1\r\n"),
    ),
)
