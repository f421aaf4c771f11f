"""The server's own log as evidence: questions to the journal, and what their answers become.

The questions are those of `gathering`, answered off the loop. An archive is made for one
request and holds the state of the log's heads as of then.
"""

from collections.abc import Callable, Iterable
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

import msgspec

from ironkeep.core import event
from ironkeep.core.errors import IntegrityError, NotFound
from ironkeep.core.event import Entry
from ironkeep.core.evidence.node import NodeId, NodeKind, family_of, kind_of, place_of
from ironkeep.core.evidence.packing.pack import ShownLog
from ironkeep.core.evidence.records import Evidence, LogFacts
from ironkeep.incident.evidence.gathering import About
from ironkeep.incident.evidence.views import Asked
from ironkeep.incident.verifier.disclosed import ShownHead
from ironkeep.journal.log import SignedHead
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.heads import NextHead
from ironkeep.plugin.effects.questions import Question, question_of
from ironkeep.tlog.policy import Policy

COVER_SECONDS: Final = 3
"""Seconds that a pack waits for its head: one to be signed, the others for slow witnesses."""


def covered(call: Call, then: Callable[[Call], Suspend]) -> Suspend:
    """Continue once a head that our policy accepts covers what is durable now.

    A head is signed once a second: without the wait, what somebody recorded and then asks a proof
    of would be missing in it. If no such head comes in COVER_SECONDS, the newest one has to do.
    """
    house = call.use(House)
    wanted = house.journal.log.size

    def look(later: Call, seconds: int) -> Suspend:
        head = Archive(later, ()).head
        if not seconds or (head is not None and head.checkpoint.size >= wanted):
            return then(later)
        work = NextHead(house.readings.witnessed, 1)
        return Suspend(work, lambda again, _woken: look(again, seconds - 1))

    return look(call, COVER_SECONDS)


def policy_of(house: House) -> Policy:
    """Return the server's own policy: its log, its witnesses and the quorum that must cosign."""
    lines = [f"log {house.journal.key.format()}"]
    names = []
    for number, (name, vkey) in enumerate(house.settings.witnesses, start=1):
        # Spaces separate the words of a policy, and `none` is a keyword in it.
        plain = name.isascii() and name.isalnum() and name != "none" and name not in names
        names.append(name if plain else f"witness-{number}")
        lines.append(f"witness {names[-1]} {vkey}")
    if house.settings.quorum:
        group = sha256("\n".join(names).encode()).hexdigest()[:8]
        lines.append(f"group quorum-{group} {house.settings.quorum} {' '.join(names)}")
        lines.append(f"quorum quorum-{group}")
    else:
        lines.append("quorum none")
    return Policy.parse("".join(f"{line}\n" for line in lines).encode())


class Archive:
    """The log of the server, as one request asks about it.

    `starts` are the earliest compromise of any case, and that of the case in question.
    """

    def __init__(self, call: Call, starts: Iterable[int]) -> None:
        house = call.use(House)
        self._call: Final = call
        self._log: Final = house.journal.log
        self._policy: Final = policy_of(house)
        self._starts: Final = tuple(dict.fromkeys(starts))

    @cached_property
    def _scope(self) -> tuple[int, ...]:
        return tuple(self._call.use(House).scope.indices(self._call.tx))

    def ask_evidence(self, case: str, as_of_ns: int, kinds: tuple[str, ...] = ()) -> Question:
        """Return the question for the evidence on a case; `evidence` takes the answer.

        kinds are further kinds of entries to include.
        """
        about = About(case, as_of_ns, self._starts, self._scope, kinds)
        return self._ask("evidence", msgspec.structs.asdict(about))

    def ask_brief(self, case: str, as_of_ns: int, supposed: Entry | None = None) -> Question:
        """Return the question for the brief of a case; `brief.decode` takes the answer.

        `supposed` is taken as the log's next entry.
        """
        body = b"" if supposed is None else event.encode(supposed)
        about = About(case, as_of_ns, self._starts, self._scope, supposed=body)
        return self._ask("brief", msgspec.structs.asdict(about))

    def ask_view(self, view: str, case: str, as_of_ns: int, now_ns: int) -> Question:
        """Return the question for a view of a case (evidence/views.py); the answer is JSON."""
        about = About(case, as_of_ns, self._starts, self._scope)
        shown = self._satisfied(self.head)
        cosigners, cosigned_ns = (shown.cosigners, shown.cosigned_ns) if shown else ((), 0)
        asked = Asked(view, about, cosigners, cosigned_ns, self.witnessed, now_ns)
        return self._ask("view", msgspec.to_builtins(asked))

    def evidence(self, case: str, as_of_ns: int, answer: dict[str, Any]) -> Evidence:
        """Return the evidence in an answer."""
        entries: list[tuple[int, Entry]] = [
            (index, event.decode(body)) for index, body in answer["entries"]
        ]
        shown = self._satisfied(self.head)
        facts = LogFacts(
            origin=self._log.origin,
            size=answer["size"],
            start=answer["start"],
            withheld=answer["withheld"],
            cosigners=shown.cosigners if shown else (),
            cosigned_ns=shown.cosigned_ns if shown else 0,
            late=answer["late"],
        )
        return Evidence(case, as_of_ns, (facts,), tuple(entries))

    def ask_reads(
        self, secret: NodeId, from_ns: int, writes: Iterable[str] | None = None
    ) -> Question:
        """Return the question for the reads of a secret; `excerpt` takes the answer.

        With the API paths that write it, the answer is NotFound unless the log names the secret.
        Raises NotFound as `ask_pack` does.
        """
        about = {
            "secret": str(secret), "from_ns": from_ns, "size": self._signed_size,
            "writes": None if writes is None else list(writes),
        }  # fmt: skip
        return self._ask("reads", about)

    def ask_pack(self, case: str, as_of_ns: int) -> Question:
        """Return the question for the payload of a case's pack; the answer is [type, payload].

        The log ends at the newest head that a quorum has cosigned. Raises NotFound while there is
        no signed head.
        """
        size = self._signed_size
        about = About(case, as_of_ns, self._starts, self._scope, size=size)
        policy, checkpoint = self._texts
        asked = {
            "about": msgspec.structs.asdict(about), "policy": policy, "checkpoint": checkpoint,
        }  # fmt: skip
        return self._ask("pack", asked)

    def excerpt(self, answer: bytes) -> ShownLog:
        """Return the log in an answer, with its head and the policy that the head satisfies."""
        policy, checkpoint = self._texts
        return msgspec.structs.replace(_SHOWN.decode(answer), policy=policy, checkpoint=checkpoint)

    @property
    def _texts(self) -> tuple[str, str]:
        """The policy and the head that satisfies it, as texts."""
        head = self.head
        assert head is not None
        return self._policy.text.decode(), head.note.serialise().decode()

    def ask_active(self, from_ns: int, until_ns: int) -> Question:
        """Return the question for the accessors of the tokens that acted in a span of time."""
        return self._ask("active", {"from_ns": from_ns, "until_ns": until_ns})

    def ask_made(self, sessions: Iterable[str]) -> Question:
        """Return the question for the accessors of the tokens that sessions made, with these."""
        return self._ask("made", {"sessions": list(sessions)})

    def ask_first(self, version: NodeId) -> Question | None:
        """Return the question for the time of a version's first release; None if it is no version.

        The answer is None if it was never released.
        """
        if kind_of(version) is not NodeKind.SECRET or family_of(version) is None:
            return None
        (mount, path), number = place_of(version), int(version.rpartition("@")[2])
        return self._ask("first", {"mount": mount, "path": path, "version": number})

    @property
    def _signed_size(self) -> int:
        head = self.head
        if head is None or not head.checkpoint.size:
            raise NotFound("no signed checkpoint covers the journal yet: try again in some seconds")
        return head.checkpoint.size

    @cached_property
    def witnessed(self) -> int:
        """The size of the newest head that a quorum has cosigned; 0 if there is none."""
        head = self.head
        shown = self._satisfied(head)
        return head.checkpoint.size if head is not None and shown and shown.cosigners else 0

    @cached_property
    def head(self) -> SignedHead | None:
        """The newest head that a quorum has cosigned; if there is none, the newest signed one."""
        good = (head for head in self._log.recent if self._satisfied(head))
        return next(good, self._log.published)

    def _satisfied(self, head: SignedHead | None) -> ShownHead | None:
        """Check a head against our policy; return None while its quorum is missing."""
        if head is None:
            return None
        try:
            return ShownHead(head.note.serialise().decode(), self._policy)
        except IntegrityError:
            return None

    def _ask(self, name: str, about: Any) -> Question:
        return question_of(self._call, name, about)


_SHOWN: Final = msgspec.msgpack.Decoder(ShownLog)
