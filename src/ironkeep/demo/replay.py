"""The breach, replayed: stolen ciphertext first, a stolen session later, and the way out."""

import re
import time
from base64 import b64encode
from http import HTTPStatus
from typing import Any, Final

import psycopg
from psycopg.rows import TupleRow

from ironkeep.core.evidence import records as ev
from ironkeep.demo.estate import (
    BACKUPS,
    CIPHERTEXT,
    DECRYPTION_KEY,
    PASSWORDS,
    ROLE,
    STORE_LOGIN,
    WRAPPING_KEY,
    Estate,
)
from ironkeep.demo.teller import Teller

_TICK_SECONDS: Final = 1.1
"""Times in answers are told apart by seconds."""


class Replay:
    """Plays the story; each method is a chapter."""

    def __init__(self, estate: Estate, teller: Teller) -> None:
        self._estate: Final = estate
        self._stage: Final = estate.stage
        self._teller: Final = teller
        self._stolen_token = ""
        self._stolen_password = ""
        self._session: psycopg.Connection[TupleRow] | None = None
        self._second: psycopg.Connection[TupleRow] | None = None
        self._closed_at = ""
        self._second_started = ""

    def play(self) -> None:
        """Play all chapters."""
        try:
            self.document()
            self.session()
            self.exposure()
            self.containment()
            self.eviction()
            self.persistence()
            self.proof()
        finally:
            for open_session in (self._session, self._second):
                if open_session is not None:
                    open_session.close()

    def document(self) -> None:
        """Steal a document in which an encrypted key lies; ask whether all is well."""
        tell, estate = self._teller, self._estate
        tell.chapter("A document is stolen: source code, with an encrypted backup key in it")
        time.sleep(_TICK_SECONDS)
        started = _now()
        leak = b"# deploy.yaml\nbackup_key_enc: " + b64encode(CIPHERTEXT) + b"\n"
        tell.run("ironkeep incident document deploy.yaml")
        content = b64encode(leak).decode()
        found = estate.write("incident/documents", name="deploy.yaml", content=content)
        tell.check(
            "the registered encrypted copy is recognised inside it, base64 and all",
            found["copies"] == ["document:encrypted backup key"],
            found,
        )
        tell.run("ironkeep incident open -start=… document:deploy.yaml")
        case = estate.write(
            "incident/cases",
            title="source code was copied",
            subjects=["document:deploy.yaml"],
            start=started,
            basis="the first download in the proxy's log",
        )["id"]
        tell.check("it is case 1", case == "1", case)
        tell.run("ironkeep incident verdict 1")
        verdict = self._stage.await_witnesses("1", estate.responder)
        items = [f"{item['label']}: {item['words']}" for item in verdict["open_items"]]
        named = [item for item in items if item.startswith(f"{DECRYPTION_KEY} version 1")]
        tell.show([verdict["outcome"], *named])
        tell.tell("“The other parts are kept elsewhere” is not a state that clears anything.")
        tell.check(
            "the verdict is NOT PROVEN, and names the encrypted key",
            verdict["outcome"] == "NOT PROVEN" and "an encrypted copy" in "".join(named),
            items,
        )
        time.sleep(_TICK_SECONDS)
        self._closed_at = _now()

    def session(self) -> None:
        """Steal an engineer's session, and use it."""
        tell, stage = self._teller, self._stage
        tell.chapter("Later, an engineer's session is stolen and reads two more parts")
        self._second_started = _now()
        time.sleep(_TICK_SECONDS)
        token = self._stolen_token = stage.login("engineer", PASSWORDS["engineer"])
        wrapping = stage.send("GET", "secret/data/backup/wrapping-key", token)
        login = stage.send("GET", STORE_LOGIN, token)
        tell.check("the wrapping key is read", "key" in wrapping.data.get("data", {}))
        self._stolen_password = login.data.get("password", "")
        tell.check("the login of the backup store is read", bool(self._stolen_password))
        refused = stage.send("GET", "secret/data/backup/decryption-key", token)
        tell.check(
            "the decryption key itself is refused",
            refused.status == HTTPStatus.FORBIDDEN,
            refused.status,
        )
        self._session = stage.connect(ROLE, self._stolen_password)
        self._session.execute("SELECT count(*) FROM backups")
        self._session.execute("CREATE ROLE maintenance LOGIN PASSWORD 'a way back in'")
        self._second = stage.connect("maintenance", "a way back in")
        tell.tell("With it they open a database session, make a role of their own, and stay.")

    def exposure(self) -> None:
        """Open the second case, and list what they got."""
        tell, estate = self._teller, self._estate
        tell.chapter("What did they get?")
        tell.run("ironkeep incident open -start=… person:engineer")
        case = estate.write(
            "incident/cases",
            title="a session of an engineer was stolen",
            subjects=["person:engineer"],
            start=self._second_started,
            basis="the last hour in which the machine was seen clean",
        )["id"]
        tell.check("it is case 2", case == "2", case)
        tell.run("ironkeep incident exposure 2")
        exposure = estate.read("incident/cases/2/exposure")
        read = {row["label"] for row in exposure["did_read"]}
        tell.check(
            "did read: exactly the wrapping key and the login of the store",
            read == {f"{WRAPPING_KEY} version 1", f"{STORE_LOGIN} version 2"},
            read,
        )
        rows = {row["label"]: row for row in exposure["could_reach"]}
        key = rows.get(f"{DECRYPTION_KEY} version 1", {})
        tell.show([f"{key.get('label')} is reached:", *_why(key)])
        tell.check(
            "could have reached: the decryption key, from the document of case 1 and what was read",
            bool(key.get("in_clear")) and len(key["why"]) > 1,
            key,
        )
        kinds = {row["label"] for row in exposure["could_reach"] if row["kind"] in _DATA}
        expected = {BACKUPS.replace(":", " "), f"system {self._system()}"}
        tell.check("… and so the backups, and the database", kinds == expected, kinds)
        count = exposure["counts"]
        tell.tell(
            f"Counted, not estimated: {count['did_read']} read, {count['could_read']} readable, "
            f"{count['could_reach']} reached in all."
        )
        verdict = estate.read(f"incident/cases/1/verdict?as_of={self._closed_at}")
        named = {item["label"] for item in verdict["open_items"]}
        tell.check(
            "asked as of the day of case 1, the answer is still NOT PROVEN, and names the key",
            verdict["outcome"] == "NOT PROVEN" and f"{DECRYPTION_KEY} version 1" in named,
            named,
        )

    def containment(self) -> None:
        """Cut the principal off, in one command, before anything new is made."""
        tell, estate, stage = self._teller, self._estate, self._stage
        tell.chapter("Contain")
        early = stage.send("PUT", "incident/cases/2/rotate", estate.responder, {})
        tell.check(
            "rotating first is refused: the new secret would be theirs at once",
            early.status == HTTPStatus.BAD_REQUEST and "contain first" in "".join(early.errors),
            early.errors,
        )
        tell.run("ironkeep incident contain 2")
        began = time.monotonic()
        contained = estate.write("incident/cases/2/contain")["contained"]
        took = time.monotonic() - began
        tell.check(
            f"every token of the engineer is ended, in {took * 1000:.0f} ms",
            contained[0]["tokens_ended"] >= 1,
            contained,
        )
        again = stage.send("GET", STORE_LOGIN, self._stolen_token)
        tell.check(
            "the stolen session is refused", again.status == HTTPStatus.FORBIDDEN, again.status
        )
        login = stage.send(
            "PUT", "auth/userpass/login/engineer", data={"password": PASSWORDS["engineer"]}
        )
        tell.check("so is a new login", login.status in _REFUSALS, login.status)
        assert self._session is not None
        self._session.execute("SELECT 1")
        tell.tell("Their database session is still open: containing is not evicting.")

    def eviction(self) -> None:
        """Replace, end, prove dead."""
        tell, estate = self._teller, self._estate
        tell.chapter("Revoke, end sessions, prove dead")
        tell.run("ironkeep incident rotate 2")
        rotated = estate.write("incident/cases/2/rotate")["rotated"]
        tell.check(
            "the login of the store is replaced in PostgreSQL",
            [each["state"] for each in rotated] == ["revoked"],
            rotated,
        )
        tell.check("their open database session is dead", not _answers(self._session))
        for secret in (WRAPPING_KEY, DECRYPTION_KEY):
            self._by_hand(secret)
        tell.check("the old password is refused, really connecting", self._is_refused())
        tell.run("ironkeep incident kill 2; ironkeep incident probe 2")
        ended = estate.write("incident/cases/2/kill")["sessions"]
        tell.check("no session of the account is left", ended[0]["remaining"] == 0, ended)
        probes = estate.write("incident/cases/2/probe")["probes"]
        tell.check(
            "Ironkeep presented the old password itself: DEAD",
            [each["state"] for each in probes] == ["dead"],
            probes,
        )

    def _by_hand(self, secret: str) -> None:
        """Make a key anew, as its owners do, and report it."""
        folder, _, name = secret.partition("/")
        self._estate.write(f"{folder}/data/{name}", data={"key": "a new key, not a real one"})
        self._estate.write(
            "incident/cases/2/rotate",
            secret=f"{secret}@1",
            method="made anew, and the backups encrypted again",
            receipt="backup job 4711: all generations re-encrypted, the old ones deleted",
            replacement=f"{secret}@2",
        )
        self._teller.tell(f"{secret} is made anew by its owners, and reported with their receipt.")

    def persistence(self) -> None:
        """Find what they left behind, and remove it."""
        tell, estate, stage = self._teller, self._estate, self._stage
        tell.chapter("Are they out? The sweep, against the baseline from before the breach")
        tell.run("ironkeep incident sweep 2")
        swept = estate.write("incident/cases/2/sweep")["swept"][0]
        tell.show(f"{one['what']}: {one['item'][:90]}" for one in swept["differences"])
        acting = [one for one in swept["differences"] if one["acting"]]
        tell.check(
            "it lists the role that they made, and that it has a session open",
            len(acting) == 1 and " maintenance" in acting[0]["item"],
            swept,
        )
        verdict = estate.read("incident/cases/2/verdict")
        outcome = verdict["outcome"]
        tell.check("the verdict is DISPROVEN", outcome == "DISPROVEN", outcome)
        stage.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'maintenance'",
            "DROP ROLE maintenance",
        )
        tell.tell("The administrator ends that session and drops the role.")
        tell.check("its session is dead", not _answers(self._second))
        swept = estate.write("incident/cases/2/sweep")["swept"][0]
        for one in swept["differences"]:
            tell.show([f"{one['what']}: {one['item'][:90]}"])
            estate.write(
                "incident/cases/2/explain",
                item=one["id"],
                reason="of our own rotation",
            )
        tell.check(
            "the next sweep finds nothing of theirs",
            not any("maintenance" in one["item"] for one in swept["differences"]),
            swept,
        )

    def proof(self) -> None:
        """Give the verdict, and let somebody else look at it."""
        tell, estate = self._teller, self._estate
        tell.chapter("The proof")
        tell.run("ironkeep incident root 2; ironkeep incident check-root 2 …")
        details = [
            estate.write("incident/cases/2/check-root", item=item, sound=True)["detail"]
            for item in ev.ROOT_ITEMS
        ]
        tell.check(
            "administrators, policies, shares and keys were changed by nobody exposed",
            all(re.search(r"\b0 of them by somebody exposed", detail) for detail in details),
            details,
        )
        estate.write("incident/cases/2/residue", words="what was read before containment was seen")
        tell.run("ironkeep incident verdict 2")
        verdict = self._stage.await_witnesses("2", estate.responder)
        left = [f"{item['label']}: {item['words']}" for item in verdict["open_items"]]
        tell.show([f"{verdict['outcome']} for {verdict['scope']}"])
        tell.check("the verdict is PROVEN, for this scope", verdict["outcome"] == "PROVEN", left)
        pack = self._stage.folder / "case-2.pack"
        answer = self._stage.send("GET", "incident/cases/2/pack", estate.responder)
        pack.write_bytes(answer.body)
        self._verify(pack.name, 0, "a second program recomputes it, without server or network")
        self._verify(pack.name, 5, "without pinned keys it says SELF-CONSISTENT and no more",
                     pinned=False)  # fmt: skip
        forged = bytearray(answer.body)
        forged[len(forged) // 2] ^= 1
        (self._stage.folder / "forged.pack").write_bytes(forged)
        self._verify("forged.pack", 6, "one byte changed, and it is refused")

    def _verify(self, name: str, code: int, what: str, *, pinned: bool = True) -> None:
        words = ["verify", name]
        if pinned:
            words.append(f"-trust={self._estate.trust.name}")
        self._teller.run(" ".join(["ironkeep", *words]))
        got, said = self._estate.command(*words)
        self._teller.show(said.splitlines()[:1])
        self._teller.check(f"{what} (exit code {code})", got == code, f"{got}: {said[:2000]}")

    def _is_refused(self) -> bool:
        try:
            self._stage.connect(ROLE, self._stolen_password).close()
        except psycopg.OperationalError as error:
            return "password authentication failed" in str(error)
        return False

    def _system(self) -> str:
        return f"postgresql/{self._stage.database.target().endpoint}"


_DATA: Final = frozenset({"backup", "system"})
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN})


def _why(row: dict[str, Any]) -> list[str]:
    return [f"  {step['from']} {step['by']} {step['to']}" for step in row.get("why", ())]


def _answers(session: psycopg.Connection[TupleRow] | None) -> bool:
    """Return whether a database session still answers."""
    assert session is not None
    try:
        session.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def _now() -> str:
    """Return this second as the API takes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
