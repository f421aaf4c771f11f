"""The entries of made traffic, act by act, as the pipeline, the ledger and the tick write them."""

from base64 import b64encode
from collections.abc import Callable
from typing import Final

from ironkeep.core.event import Entry, Kind, Released, Value
from ironkeep.plugin.entries import BEHIND
from ironkeep.store.ledger import DIGEST_BYTES
from tests.support.log.traffic_estate import Actor, Estate, Secret, Session
from tests.support.log.traffic_truth import Positions

USES: Final = (20, 100)
"""Requests with one token, at least and at most."""
PIPELINE_USES: Final = 12
"""Requests with the token that a person hands to a pipeline."""

_ROTATION: Final = ("prepared", "applied", "committed", "retiring", "idle")

_CREATED: Final[dict[str, Value]] = {
    "policies": ["reports"], "ttl": 3_600, "explicit_max_ttl": 0, "period": 0, "num_uses": 0,
    "type": "", "display_name": "", "no_parent": False, "renewable": True, "entity_alias": "",
    "token_policies": ["default", "reports"],
}  # fmt: skip

Act = Callable[[int, Actor], None]


class Acts:
    """Appends the entries of one act at a time, and notes their positions in the truth."""

    def __init__(self, estate: Estate, append: Callable[[Entry], int]) -> None:
        self._estate: Final = estate
        self._rng: Final = estate.rng
        self._append: Final = append
        self._mark: Final = estate.truth.mark
        self._kinds: Final[dict[str, Positions]] = {}
        self._commits = 0
        self._requests = 0
        self._handed: Final[dict[str, Session]] = {}
        self.table: Final[tuple[tuple[float, Act], ...]] = (
            (100.0, self.read),
            (1.5, self._first_read),
            (2.5, self._write),
            (0.3, self._delete_version),
            (1.2, self._list),
            (0.8, self._look_up),
            (0.6, self._miss),
            (0.6, self._denied),
            (0.6, self._stranger),
            (0.15, self._wrong_password),
            (0.1, self._hand_out),
            (0.8, self._pipeline),
            (0.1, self._issue_secret_id),
            (0.2, self._expire),
            (0.05, self._alert),
            (0.03, self._rotate),
            (0.02, self._flood),
        )
        """The acts with their weights. A login comes with the first request that needs it."""

    def emit(self, entry: Entry, *marks: Positions) -> None:
        """Append an entry; note its position under its kind and in marks."""
        index = self._append(entry)
        kind = self._kinds.get(entry.kind)
        if kind is None:
            kind = self._kinds[entry.kind] = self._mark("kind", entry.kind)
        kind.append(index)
        for mark in marks:
            mark.append(index)

    def request_id(self) -> str:
        """Return a fresh id."""
        self._requests += 1
        if self._requests & 0xFFF == 1:
            self._prefix = self._estate.uuid()[:24]
        return f"{self._prefix}{self._requests:012x}"

    def session(self, now: int, actor: Actor) -> Session:
        """Return a token of actor on one of its devices; log in if there is none."""
        devices = actor.subject.devices
        device = devices[int(self._rng.random() * len(devices))] if devices else ""
        session = actor.sessions.get(device)
        if session is None or session.uses <= 0:
            session = actor.sessions[device] = self._log_in(now, actor, device)
        session.uses -= 1
        return session

    def end_tokens(self, actor: Actor) -> tuple[str, ...]:
        """End all tokens of actor, with those that it handed out; return their accessors."""
        handed = [
            accessor
            for accessor, session in self._handed.items()
            if session.audited[BEHIND] == [actor.subject.entity]
        ]
        own = [session.accessor for session in actor.sessions.values()]
        for accessor in handed:
            del self._handed[accessor]
        actor.sessions.clear()
        return (*own, *handed)

    def request(
        self, now: int, session: Session, op: str, path: str, mount: str, *marks: Positions,
        rule: str = "", audited: dict[str, Value] | None = None, outcome: str = "ok",
        reason: str = "", released: tuple[Released, ...] = (), wrapped: bool = False,
        issued: str = "",
    ) -> None:  # fmt: skip
        """Append the entry of a request with a token."""
        audited = {**audited, **session.audited} if audited else session.audited
        entry = Entry(
            kind="request", time_ns=now, request=self.request_id(), op=op, path=path, mount=mount,
            entity=session.entity, name=session.name, accessor=session.accessor,
            device=session.device, remote=session.remote, rule=rule, outcome=outcome,
            reason=reason, released=released, wrapped=wrapped, issued=issued,
            audited=audited,
        )  # fmt: skip
        self.emit(entry, *session.marks, *marks)

    def commit(self, now: int, rows: int) -> None:
        """Append the entry of a commit."""
        self._commits += 1
        audited: dict[str, Value] = {
            "seq": self._commits,
            "mark": self._rng.randbytes(32).hex(),
            "rows": b64encode(self._rng.randbytes(2 * DIGEST_BYTES * rows)).decode(),
        }
        self.emit(Entry(kind="commit", time_ns=now, op="commit", audited=audited))

    def note(
        self, now: int, kind: Kind, op: str, audited: dict[str, Value], outcome: str = "ok"
    ) -> None:
        """Append an event of the server itself."""
        self.emit(Entry(kind=kind, time_ns=now, op=op, outcome=outcome, audited=audited))

    def start(self, now: int) -> None:
        """Start the server and unseal it."""
        self.note(now, "start", "start", {"version": "0.1.0", "commit": self._commits})
        self._open_request(now, "read", "sys/seal-status", "sys", rule="open")
        share: dict[str, Value] = {"progress": 0, "sealed": False}
        self._open_request(now, "update", "sys/unseal", "sys", audited=share, rule="open")

    def _open_request(
        self, now: int, op: str, path: str, mount: str, *marks: Positions,
        remote: str = "10.200.0.9", rule: str = "", outcome: str = "ok", issued: str = "",
        audited: dict[str, Value] | None = None,
    ) -> None:  # fmt: skip
        """Append the entry of a request without a token."""
        entry = Entry(
            kind="request", time_ns=now, request=self.request_id(), op=op, path=path, mount=mount,
            remote=self._with_port(remote), rule=rule, outcome=outcome, issued=issued,
            audited=audited or {},
        )  # fmt: skip
        self.emit(entry, *marks)

    def _with_port(self, address: str) -> str:
        return f"{address}:{self._rng.randrange(32_768, 61_000)}"

    def _log_in(self, now: int, actor: Actor, device: str) -> Session:
        subject, accessor = actor.subject, self._estate.accessor()
        subject.accessors.append(accessor)
        marks = [self._mark("issued", accessor)]
        if subject.person:
            path = f"auth/userpass/login/{actor.login}"
            marks.append(self._mark("username", subject.login))
            audited: dict[str, Value] = {"username": actor.login}
        else:
            if not actor.secret_id or self._rng.random() < 0.1:
                self._issue_secret_id(now, actor)
            path = "auth/approle/login"
            marks += (
                self._mark("role", subject.login),
                self._mark("secret_id", actor.secret_id),
            )
            audited = {"role_name": actor.login, "secret_id_accessor": actor.secret_id}
        audited["token_policies"] = list(actor.policies)
        remote = self._rng.choice(actor.addresses)
        self._open_request(
            now, "update", path, actor.mount, *marks,
            remote=remote, rule="login", issued=accessor, audited=audited,
        )  # fmt: skip
        self.commit(now, 12)
        marks = [self._mark("entity", subject.entity), self._mark("accessor", accessor)]
        if device:
            marks.append(self._mark("device", device))
        return Session(
            accessor,
            subject.entity,
            actor.name,
            device,
            self._with_port(remote),
            self._rng.randint(*USES),
            tuple(marks),
        )

    def read(self, now: int, actor: Actor) -> None:
        """Read a secret."""
        self._read(now, self.session(now, actor), self._estate.secret(actor))

    def _read(self, now: int, session: Session, secret: Secret) -> None:
        # Nearly all entries come from here, so it does not call `request`.
        entry = Entry(
            kind="request",
            time_ns=now,
            request=self.request_id(),
            op="read",
            path=secret.api_path,
            mount=secret.mount.uuid,
            entity=session.entity,
            name=session.name,
            accessor=session.accessor,
            device=session.device,
            remote=session.remote,
            rule=secret.mount.rule,
            released=secret.released,
            audited=session.audited,
        )
        self.emit(entry, *session.marks, secret.read)

    def _first_read(self, now: int, actor: Actor) -> None:
        """Read a secret that is charged to a budget."""
        self.read(now, actor)
        self.commit(now, 6)

    def _write(self, now: int, actor: Actor) -> None:
        session, secret = self.session(now, actor), self._estate.secret(actor)
        secret.serve(secret.version + 1)
        self.request(
            now, session, "update", secret.api_path, secret.mount.uuid, secret.changed,
            rule=secret.mount.rule, audited={"version": secret.version},
        )  # fmt: skip
        self.commit(now, 6)

    def _delete_version(self, now: int, actor: Actor) -> None:
        session, secret = self.session(now, actor), self._estate.secret(actor)
        verb = self._rng.choice(("delete", "destroy"))
        path = f"{secret.mount.path}{verb}/{secret.path}"
        self.request(
            now, session, "update", path, secret.mount.uuid, secret.changed,
            rule=secret.mount.rule, audited={"versions": [str(max(1, secret.version - 1))]},
        )  # fmt: skip
        self.commit(now, 2)

    def _list(self, now: int, actor: Actor) -> None:
        session, mount = self.session(now, actor), self._estate.secret(actor).mount
        self.request(
            now, session, "list", f"{mount.path}metadata/", mount.uuid, rule=mount.rule
        )  # fmt: skip

    def _look_up(self, now: int, actor: Actor) -> None:
        session = self.session(now, actor)
        if self._rng.random() < 0.3:
            self.request(
                now, session, "update", "auth/token/renew-self", self._estate.tokens,
                self._mark("issued", session.accessor),
                rule="default:7 auth/token/renew-self", issued=session.accessor,
                audited={"increment": 0, "token_policies": list(actor.policies)},
            )  # fmt: skip
            self.commit(now, 1)
            return
        self.request(
            now, session, "read", "auth/token/lookup-self", self._estate.tokens,
            rule="default:4 auth/token/lookup-self",
        )  # fmt: skip

    def _miss(self, now: int, actor: Actor) -> None:
        """Read a secret that does not exist."""
        session, mount = self.session(now, actor), self._estate.secret(actor).mount
        path = f"{mount.path}data/old/{self._rng.randrange(1_000)}"
        self.request(
            now, session, "read", path, mount.uuid, rule=mount.rule, outcome="not_found"
        )  # fmt: skip

    def _denied(self, now: int, actor: Actor) -> None:
        session, secret = self.session(now, actor), self._estate.secret(actor)
        self.request(
            now, session, "read", secret.api_path, secret.mount.uuid,
            outcome="permission_denied", reason="no rule matches the path",
        )  # fmt: skip

    def _stranger(self, now: int, actor: Actor) -> None:
        """Read with a token that does not exist."""
        secret = self._estate.secret(actor)
        remote = f"10.66.{self._rng.randrange(8)}.{self._rng.randrange(250)}"
        self._open_request(
            now, "read", secret.api_path, secret.mount.uuid,
            remote=remote, outcome="permission_denied",
        )  # fmt: skip

    def _wrong_password(self, now: int, _actor: Actor) -> None:
        person = self._estate.person()
        path = f"auth/userpass/login/{person.login}"
        # A failed login does not say in its audited facts which user it was for: its path does.
        self._open_request(
            now, "update", path, person.mount, self._mark("refused_login", person.subject.login),
            remote=self._rng.choice(person.addresses), rule="login", outcome="invalid_credentials",
        )  # fmt: skip
        self.commit(now, 1)

    def _hand_out(self, now: int, _actor: Actor) -> None:
        """Make a token of no person, for a pipeline."""
        person = self._estate.person()
        session, accessor = self.session(now, person), self._estate.accessor()
        self.request(
            now, session, "update", "auth/token/create-orphan", self._estate.tokens,
            self._mark("issued", accessor), rule="pipelines:1 auth/token/create-orphan",
            issued=accessor,
            audited=dict(_CREATED),
        )  # fmt: skip
        self.commit(now, 8)
        entity = person.subject.entity
        marks = (self._mark("accessor", accessor), self._mark("behind", entity))
        self._handed[accessor] = Session(
            accessor, "", "token", "", self._with_port("10.150.0.7"), PIPELINE_USES, marks,
            {BEHIND: [entity]},
        )  # fmt: skip

    def _pipeline(self, now: int, actor: Actor) -> None:
        """Read with a token that was handed to a pipeline."""
        if not self._handed:
            self.read(now, actor)
            return
        session = next(iter(self._handed.values()))
        session.uses -= 1
        if session.uses <= 0:
            del self._handed[session.accessor]
        self._read(now, session, self._estate.secret(actor))

    def _issue_secret_id(self, now: int, actor: Actor) -> None:
        """Let a busy person issue a secret id of a role."""
        role = self._estate.role() if actor.subject.person else actor
        session = self.session(now, self._estate.people[0])
        role.secret_id = self._estate.uuid()
        path = f"role/{role.login}/secret-id/{role.secret_id}"
        self.request(
            now, session, "update", f"auth/approle/role/{role.login}/secret-id", role.mount,
            self._mark("secret_id", role.secret_id),
            self._mark("released", f"{role.mount}/{path}"),
            rule="operators:3 auth/approle/*", wrapped=True,
            released=(Released(role.mount, path),),
            audited={"cidr_list": [], "secret_id_accessor": role.secret_id},
        )  # fmt: skip
        self.commit(now, 9)

    def _expire(self, now: int, _actor: Actor) -> None:
        due = self._rng.randint(1, 40)
        self.note(now, "tick", "expire", {"due": due})
        self.commit(now, 4 * due)

    def _alert(self, now: int, actor: Actor) -> None:
        session, secret = self.session(now, actor), self._estate.secret(actor)
        entry = Entry(
            kind="notice", time_ns=now, op="alert", path=secret.api_path, entity=session.entity,
            device=session.device,
            audited={"alert": "budget", "text": "reads more secrets than its budget allows"},
        )  # fmt: skip
        marks = [self._mark("entity", session.entity)]
        if session.device:
            marks.append(self._mark("device", session.device))
        self.emit(entry, *marks)
        self.commit(now, 2)

    def _rotate(self, now: int, _actor: Actor) -> None:
        """Rotate a database password: an effect in several turns."""
        name, number = f"app-{self._rng.randrange(200):03d}", self._rng.randrange(2, 90)
        mount, path = self._estate.database, f"static-creds/{name}"
        for state in _ROTATION:
            last = state == _ROTATION[-1]
            self._effect(
                now, "rotate", path, {"state": state, "current": number - (state == "prepared")}
            )
            if not last:
                self.emit(
                    Entry(
                        kind="tick", time_ns=now, op="effect", mount=mount, outcome="pending",
                        audited={"of": path},
                    )
                )  # fmt: skip
            self.commit(now, 2)

    def _effect(self, now: int, op: str, path: str, audited: dict[str, Value]) -> None:
        self.emit(
            Entry(
                kind="effect", time_ns=now, request=self.request_id(), op=op, path=path,
                mount=self._estate.database, audited=audited,
            )
        )  # fmt: skip

    def _flood(self, now: int, _actor: Actor) -> None:
        """Count refusals of strangers, too many for an entry each."""
        counts = sorted((self._rng.randint(10, 500) for _ in range(3)), reverse=True)
        busiest = [f"10.66.0.{n} {count}" for n, count in enumerate(counts)]
        audited: dict[str, Value] = {
            "count": sum(counts), "addresses": len(counts), "busiest": busiest,
            "outcomes": [f"permission_denied {sum(counts)}"],
        }  # fmt: skip
        self.note(now, "refused", "", audited, "refused")
