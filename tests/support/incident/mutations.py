"""Changed packs and trust files, drawn from a seed: each is to be refused by every verifier.

A base is a pack under keys of the test. A mutation changes its bytes; or what the statement says,
which is then signed again by the pinned key, as a dishonest server would; or what the reader pins.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

import msgspec

from ironkeep.core.evidence.packing import dsse
from ironkeep.core.evidence.packing.dsse import Envelope, EnvelopeSignature
from ironkeep.core.evidence.packing.pack import PAYLOAD_TYPE
from ironkeep.tlog.merkle import subtree_root
from ironkeep.tlog.multiproof import multiproof
from ironkeep.tlog.note import KeyType
from tests.support.log.sample_log import SampleLog, sample_cosigner, sample_key

KEY: Final = sample_key("packs.example/cases")
VKEY: Final = KEY.verifier_key(KeyType.ED25519).format()
WORDS: Final = frozenset({"label", "title", "words", "scope", "residue", "evidence"})
"""Texts for people: docs/formats/evidence-pack.md leaves them out of the comparison."""
FREE: Final = frozenset({*WORDS, "policy"})
"""Keys whose value proves nothing: a changed one is not drawn."""


@dataclass(frozen=True)
class Base:
    """A sound pack and its trust file, with the log that it is from, if that is at hand."""

    name: str
    raw: bytes
    trust: bytes
    log: SampleLog | None = None

    @property
    def statement(self) -> Any:
        """The statement as plain JSON values."""
        return msgspec.json.decode(dsse.decode(self.raw).payload)


@dataclass(frozen=True)
class Mutant:
    """A changed pack, or a changed trust file, and what was done."""

    done: str
    raw: bytes
    trust: bytes


def base_of(name: str, raw: bytes, trust: bytes, log: SampleLog | None = None) -> Base:
    """Return a base: the pack signed by the key of these tests, which the trust file pins."""
    return Base(name, signed(dsse.decode(raw).payload), pinned(trust), log)


def pinned(trust: bytes) -> bytes:
    """Return a trust file with the key of these tests as its pack key."""
    _, blank, policy = trust.partition(b"\n\n")
    return f"ironkeep-trust/v1\npack {VKEY}".encode() + blank + policy


def signed(payload: bytes, kind: str = PAYLOAD_TYPE) -> bytes:
    """Return a payload in an envelope, signed by the pinned key."""
    return dsse.encode(dsse.sign(kind, payload, {VKEY: KEY.private_key()}))


class Mutations:
    """Draws mutants of some bases from a seeded generator."""

    def __init__(self, seed: int, bases: list[Base]) -> None:
        self.random: Final = Random(seed)
        self.bases: Final = bases
        self._kinds: Final[Mapping[str, tuple[int, Callable[[Base], Mutant | None]]]] = {
            "bytes": (3, self._bytes),
            "envelope": (2, self._envelope),
            "spelling": (1, self._spelling),
            "value": (8, self._value),
            "list": (6, self._list),
            "leaf": (4, self._leaf),
            "omission": (4, self._omission),
            "note": (3, self._note),
            "index": (4, self._index),
            "trust": (3, self._trust),
        }

    def draw(self, count: int) -> Iterator[Mutant]:
        """Yield a number of mutants, each different from its base."""
        weights = [weight for weight, _ in self._kinds.values()]
        while count:
            base = self.random.choice(self.bases)
            (name,) = self.random.choices(list(self._kinds), weights)
            mutant = self._kinds[name][1](base)
            if mutant is not None and (mutant.raw, mutant.trust) != (base.raw, base.trust):
                count -= 1
                yield replace(mutant, done=f"{base.name}: {name}: {mutant.done}")

    # Of the file.

    def _bytes(self, base: Base) -> Mutant:
        raw, pick = bytearray(base.raw), self.random
        place = pick.randrange(len(raw))
        length = pick.choice((1, 1, 1, 4, 100))
        done = pick.choice(("flip", "cut", "double", "insert", "end", "append"))
        match done:
            case "flip":
                raw[place] ^= pick.randint(1, 255)
            case "cut":
                del raw[place : place + length]
            case "double":
                raw[place:place] = raw[place : place + length]
            case "insert":
                raw[place:place] = pick.randbytes(length)
            case "end":
                del raw[place:]
            case _:
                raw += pick.choice((b"\n", b" ", b"\0", b"{}", base.raw[:10]))
        return Mutant(f"{done} at {place}", bytes(raw), base.trust)

    def _envelope(self, base: Base) -> Mutant:
        envelope, pick = dsse.decode(base.raw), self.random
        (own,) = envelope.signatures
        other = sample_key("other.example/cases")
        name = other.verifier_key(KeyType.ED25519).format()
        theirs = dsse.sign(PAYLOAD_TYPE, envelope.payload, {name: other.private_key()})
        wrong = bytearray(own.sig)
        wrong[pick.randrange(64)] ^= 1 << pick.randrange(8)

        def by(*signatures: EnvelopeSignature) -> Envelope:
            return msgspec.structs.replace(envelope, signatures=signatures)

        replaced = msgspec.structs.replace
        false = replaced(own, sig=bytes(wrong))
        done, made = pick.choice([
            ("no signature", by()),
            ("another key", theirs),
            ("another key's name", by(replaced(own, keyid=name))),
            ("no key's name", by(replaced(own, keyid=""))),
            ("a wrong signature", by(false)),
            ("right and wrong", by(own, false)),
            ("a short signature", by(replaced(own, sig=own.sig[:63]))),
            ("17 signatures", by(*[own] * 17)),
            ("another type", replaced(envelope, payload_type="application/json")),
            ("called compressed", replaced(envelope, payload_type=f"{PAYLOAD_TYPE}+zlib")),
        ])  # fmt: skip
        raw = dsse.encode(made)
        if done == "another type" and pick.random() < 0.5:
            raw, done = signed(envelope.payload, "text/plain"), "another type, signed"
        return Mutant(done, raw, base.trust)

    def _spelling(self, base: Base) -> Mutant:
        payload, pick = dsse.decode(base.raw).payload, self.random
        done, old, new = pick.choice([
            ("white space", b'":', b'": '),
            ("a line feed", b",", b",\n"),
            ("an escape", b"e", b"\\u0065"),
            ("a solidus", b"/", b"\\/"),
            ("a key again", b'"version":3', b'"version":3,"version":3'),
            ("a further key", b'"version":3', b'"version":3,"more":1'),
            ("a real number", b'"version":3', b'"version":3.0'),
            ("an exponent", b'"version":3', b'"version":3e0'),
            ("an older version", b'"version":3', b'"version":2'),
            ("an older type", b"evidence-pack:v3", b"evidence-pack:v2"),
            ("another type", b"in-toto.io/Statement/v1", b"in-toto.io/Statement/v0.1"),
            ("base64 without its end", b'="', b'"'),
            ("a mark of order", b'{"_type"', b'\xef\xbb\xbf{"_type"'),
        ])  # fmt: skip
        places = payload.count(old)
        parts = payload.split(old)
        place = pick.randrange(places) + 1
        payload = old.join(parts[:place]) + new + old.join(parts[place:])
        return Mutant(f"{done}, {place} of {places}", signed(payload), base.trust)

    # Of the statement, which the pinned key signs again.

    def _again(self, base: Base, statement: Any, done: str) -> Mutant:
        return Mutant(done, signed(msgspec.json.encode(statement)), base.trust)

    def _places(self, value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any, str]]:
        """Yield (container, key, path) for everything in a statement that counts."""
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in list(pairs):
            if key not in FREE:
                yield value, key, "/".join(map(str, (*path, key)))
                if isinstance(each, dict | list):
                    yield from self._places(each, (*path, key))

    def _part(self, statement: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return a part of the statement, so that long lists do not hide short ones."""
        predicate = statement["predicate"]
        pick = self.random.randrange(8)
        if pick == 0:
            return statement, ()
        if pick == 1:
            return predicate["exposure"], ("exposure",)
        if pick <= 3:
            return predicate["verdict"], ("verdict",)
        if pick == 4:
            return predicate["verdict"]["claims"], ("claims",)
        return predicate["logs"][0], ("log",)

    def _value(self, base: Base) -> Mutant | None:
        statement = base.statement
        found = list(self._places(*self._part(statement)))
        if not found:
            return None
        container, key, path = self.random.choice(found)
        old = container[key]
        if isinstance(old, dict | list) and self.random.random() < 0.7:
            return None
        new = self._other(old)
        container[key] = new
        return None if new == old else self._again(base, statement, f"{path} is {str(new)[:60]!r}")

    def _other(self, old: Any) -> Any:
        pick = self.random
        if isinstance(old, bool):
            return pick.choice((not old, 1, "true", None))
        if isinstance(old, int):
            numbers = (old + 1, old - 1, -old, old + 10**9, old ^ 1 << pick.randrange(62), 0, -1)
            return pick.choice(
                (*numbers, 2**63 - 1, 2**63, 2**64, str(old), float(old), None, True)
            )
        if isinstance(old, str):
            place = pick.randrange(len(old) + 1)
            some = pick.choice(
                ("A", "0", " ", "=", "\n", "\0", "\u00e9", "entry:1", "open", "closed")
            )
            near = (old[:place] + some + old[place:], old[:place], old[place:], old[::-1])
            changed = old[: max(place - 1, 0)] + some[:1] + old[place:]
            return pick.choice((*near, changed, changed, changed, "", [old], 0, None))
        return pick.choice(([], {}, None, [old], "", 0))

    def _list(self, base: Base) -> Mutant | None:
        statement, pick = base.statement, self.random
        part, where = self._part(statement)
        found = [
            (container[key], path)
            for container, key, path in self._places(part, where)
            if isinstance(container[key], list) and container[key]
        ]
        if not found:
            return None
        values, path = pick.choice(found)
        place = pick.randrange(len(values))
        done = pick.choice(("omit", "double", "move", "swap", "empty"))
        match done:
            case "omit":
                del values[place]
            case "double":
                values.insert(pick.randrange(len(values) + 1), values[place])
            case "move":
                values.insert(pick.randrange(len(values)), values.pop(place))
            case "swap":
                other = pick.randrange(len(values))
                values[place], values[other] = values[other], values[place]
            case _:
                values.clear()
        return self._again(base, statement, f"{done} {place} of {path}")

    def _leaf(self, base: Base) -> Mutant | None:
        """Change one shown leaf: its body, its salt, its bytes, or whether it is shown."""
        statement, pick = base.statement, self.random
        log = statement["predicate"]["logs"][0]
        leaves = [*log["entries"], *(leaf for each in log["whole"] for leaf in each["leaves"])]
        leaf = pick.choice(leaves)
        entry = "body" in leaf
        done = pick.choice(("body", "salt", "leaf", "hash", "withheld", "bare", "another"))
        match done:
            case "body" if entry:
                leaf["body"] = pick.choice(
                    (leaf["body"] + " ", leaf["body"].replace("1", "2", 1), "")
                )
            case "salt" if entry:
                leaf["salt"] = _text(pick.randbytes(pick.choice((0, 15, 16, 17))))
            case "leaf" if "leaf" in leaf:
                raw = bytearray(base64.b64decode(leaf["leaf"]))
                raw[pick.choice((0, 1, pick.randrange(len(raw))))] ^= 1 << pick.randrange(8)
                leaf["leaf"] = _text(bytes(raw))
            case "hash":
                leaf["hash"] = _text(pick.randbytes(32))
            case "withheld" if "index" not in leaf:
                leaf.clear()
                leaf["hash"] = _text(pick.randbytes(pick.choice((31, 32))))
            case "bare" if entry:
                leaf.pop("salt")
                leaf.pop("body")
            case "another" if "index" not in leaf:
                other = pick.choice(leaves)
                leaf.clear()
                leaf.update({key: value for key, value in other.items() if key != "index"})
            case _:
                return None
        return self._again(base, statement, f"{done} of a leaf")

    def _omission(self, base: Base) -> Mutant | None:
        """Leave leaves out, or withhold them, with a proof that fits what is left."""
        if base.log is None:
            return None
        statement, pick = base.statement, self.random
        log = statement["predicate"]["logs"][0]
        done = pick.choice(("entry", "stretch", "last", "middle", "withheld", "start"))
        whole = log["whole"]
        match done:
            case "entry" if log["entries"]:
                # The window's first entries are shown for their times: no term needs them.
                needed = [each for each in log["entries"] if "robot" not in each["body"]]
                log["entries"].remove(pick.choice(needed))
            case "stretch" if len(whole) > 1:
                del whole[pick.randrange(len(whole))]
            case "last" if whole:
                del whole[-1]["leaves"][-pick.randint(1, 3) :]
            case "middle" if whole:
                stretch = pick.choice(whole)
                place = pick.randrange(len(stretch["leaves"]))
                rest = {
                    "start": stretch["start"] + place + 1,
                    "leaves": stretch["leaves"][place + 1 :],
                }
                stretch["leaves"] = stretch["leaves"][:place]
                whole.insert(whole.index(stretch) + 1, rest)
                whole[:] = [each for each in whole if each["leaves"]]
            case "withheld" if whole:
                stretch = pick.choice(whole)
                place = pick.randrange(len(stretch["leaves"]))
                if "body" not in stretch["leaves"][place]:
                    return None
                hashed = base.log.leaves[stretch["start"] + place]
                stretch["leaves"][place] = {"hash": _text(hashed)}
            case "start":
                log["start"] += pick.choice((-1, 1, 5, 4_096, len(base.log.leaves)))
            case _:
                return None
        log["hashes"] = [_text(each) for each in _places_of(base.log, log)]
        return self._again(base, statement, f"{done}, with a proof that fits")

    def _note(self, base: Base) -> Mutant:
        """Change the checkpoint, or have others sign another one."""
        statement, pick = base.statement, self.random
        log = statement["predicate"]["logs"][0]
        text, _, lines = log["checkpoint"].partition("\n\n")
        body, signatures = text.split("\n"), lines.splitlines()
        done = pick.choice(("flip", "drop", "size", "root", "origin", "line", "forged", "stranger"))
        match done:
            case "flip":
                note = log["checkpoint"]
                place = pick.randrange(len(note))
                log["checkpoint"] = note[:place] + chr(ord(note[place]) ^ 1) + note[place + 1 :]
            case "drop":
                del signatures[pick.randrange(len(signatures))]
            case "size":
                body[1] = pick.choice((str(int(body[1]) - 1), f"0{body[1]}", f"{int(body[1]) + 1}"))
            case "root":
                body[2] = _text(pick.randbytes(32))
            case "origin":
                body[0] += "/2"
            case "line":
                body.append("an extension")
            case "forged":
                forged = SampleLog(body[0])
                forged.append([b"\x01\x02"] * int(body[1]))
                cosigners = [sample_cosigner("witness.forged")]
                log["checkpoint"] = forged.signed(cosigners=cosigners).serialise().decode()
            case _:
                stranger = SampleLog("stranger.example/audit")
                stranger.append([b"\x01\x02"])
                note = stranger.signed().serialise().decode()
                signatures = [note.splitlines()[-1], *signatures[1:]]
        if done not in ("flip", "forged"):
            log["checkpoint"] = "\n".join([*body, "", *signatures, ""])
        return self._again(base, statement, f"{done} of the checkpoint")

    def _index(self, base: Base) -> Mutant | None:
        """Change a proof of the index: its records, runs, keys, hashes or positions."""
        statement, pick = base.statement, self.random
        proofs = statement["predicate"]["logs"][0]["index"]
        place = pick.randrange(len(proofs))
        proof = msgspec.msgpack.decode(base64.b64decode(proofs[place]))
        lists = [proof, *(each for each in proof if isinstance(each, list))]
        for run in proof[3]:
            lists += [run, run[2], run[3], *run[2]]
        values = pick.choice([each for each in lists if each])
        number = pick.randrange(len(values))
        old = values[number]
        done = pick.choice(("omit", "double", "swap", "change", "change", "change"))
        match done:
            case "omit":
                del values[number]
            case "double":
                values.insert(number, old)
            case "swap":
                other = pick.randrange(len(values))
                values[number], values[other] = values[other], old
            case _ if isinstance(old, bytes) and old:
                raw = bytearray(old)
                raw[pick.randrange(len(raw))] ^= 1 << pick.randrange(8)
                values[number] = bytes(raw)
            case _ if isinstance(old, int):
                values[number] = old + 1
            case _:
                values[number] = b"" if isinstance(old, list) else b"\0"
        proofs[place] = _text(msgspec.msgpack.encode(proof))
        return self._again(base, statement, f"{done} in proof {place} of the index")

    # Of what the reader pins.

    def _trust(self, base: Base) -> Mutant:
        pick = self.random
        text = base.trust.decode()
        lines = text.splitlines()
        stranger = sample_key("stranger.example")
        packs = stranger.verifier_key(KeyType.ED25519).format()
        witness = sample_cosigner("witness.stranger").key.format()
        done = pick.choice(("none", "pack", "log", "witness", "line", "order", "quorum", "byte"))
        match done:
            case "none":
                lines[-1] = "quorum none"
            case "pack":
                lines[1] = f"pack {packs}"
            case "log":
                lines = [f"log {packs}" if each.startswith("log ") else each for each in lines]
            case "witness":
                lines = [
                    " ".join([*each.split(" ")[:2], witness])
                    if each.startswith("witness ")
                    else each
                    for each in lines
                ]
            case "line":
                del lines[pick.choice([n for n, each in enumerate(lines) if each])]
            case "order" if lines[-1] != "quorum none":
                lines = [*lines[:2], "", lines[-1], *lines[3:-1]]
            case "quorum":
                lines.append(pick.choice(("quorum none", "quorum stranger", lines[-1], "more")))
            case _:
                places = [n for n, each in enumerate(text) if each.isalnum()]
                place = pick.choice(places)
                text = text[:place] + ("x" if text[place] != "x" else "y") + text[place + 1 :]
        if done != "byte":
            text = "".join(f"{line}\n" for line in lines)
        return Mutant(f"{done} of the trust file", base.raw, text.encode())


STRANGE: Final[tuple[Any, ...]] = (
    1, 0, -1, 2**63 - 1, 2**63, 2**64, 1.5, None, True, "", "x", "secret:m/x@1", "person:a",
    "nobody:x", "person:", "\u200b", "a\nb", [], ["x"], {}, [1], "@1@2", "a/b@1@2", "a/b@x@2",
)  # fmt: skip
"""Values that an entry may have somewhere, though it hardly ever should."""


def changed_entry(random: Random, body: str) -> str:
    """Return the body of an entry in which one value is missing, added or replaced."""
    entry = msgspec.json.decode(body)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key, each in list(value.items() if isinstance(value, dict) else enumerate(value)):
            places.append((value, key))
            if isinstance(each, dict | list):
                walk(each)

    walk(entry)
    value, key = random.choice(places)
    done = random.randrange(4) if isinstance(value, dict) else 3
    if done == 0:
        del value[key]
    elif done == 1:
        name = random.choice(("more", "v", "time_ns", "name", "wrapped", "at", "parent", "remote"))
        value[name] = random.choice(STRANGE)
    else:
        value[key] = random.choice(STRANGE)
    return msgspec.json.encode(entry).decode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _places_of(log: SampleLog, shown: Any) -> list[bytes]:
    """Return the proof of the places of all leaves that a pack shows."""
    places = {each["index"] for each in shown["entries"]}
    for each in shown["whole"]:
        places |= set(range(each["start"], each["start"] + len(each["leaves"])))
    size = len(log.leaves)
    inside = sorted(place for place in places if 0 <= place < size)
    return list(multiproof(inside, size, lambda low, high: subtree_root(low, high, log.read)))
