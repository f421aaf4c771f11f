"""The replayed breach: first a stolen ciphertext, later a stolen session, then the eviction."""

import re
import time
from base64 import b64encode
from http import HTTPStatus
from typing import Final

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
from ironkeep.testing.parts import array, number, table, tables, text

_TICK_SECONDS: Final = 1.1
"""Pause that separates two steps: times in answers have a resolution of one second."""


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
        """Steal a document that contains an encrypted key, and ask for a verdict."""
        tell, estate = self._teller, self._estate
        tell.chapter("A document is stolen: source code that contains an encrypted backup key")
        time.sleep(_TICK_SECONDS)
        started = _now()
        leak = b"# deploy.yaml\nbackup_key_enc: " + b64encode(CIPHERTEXT) + b"\n"
        tell.run("ironkeep incident document deploy.yaml")
        content = b64encode(leak).decode()
        found = estate.write("incident/documents", name="deploy.yaml", content=content)
        tell.check(
            "the registered encrypted copy is found inside it, although encoded in base64",
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
        items = [f"{item['label']}: {item['words']}" for item in tables(verdict, "open_items")]
        named = [item for item in items if item.startswith(f"{DECRYPTION_KEY} version 1")]
        tell.show([text(verdict, "outcome"), *named])
        tell.tell("“The other parts are stored elsewhere” does not clear the key.")
        tell.check(
            "the verdict is NOT PROVEN, and names the encrypted key",
            verdict["outcome"] == "NOT PROVEN" and "an encrypted copy" in "".join(named),
            items,
        )
        time.sleep(_TICK_SECONDS)
        self._closed_at = _now()

    def session(self) -> None:
        """Steal an engineer's session and use it."""
        tell, stage = self._teller, self._stage
        tell.chapter("Later, an engineer's session is stolen and reads two more parts")
        self._second_started = _now()
        time.sleep(_TICK_SECONDS)
        token = self._stolen_token = stage.login("engineer", PASSWORDS["engineer"])
        wrapping = stage.send("GET", "secret/data/backup/wrapping-key", token)
        login = stage.send("GET", STORE_LOGIN, token)
        tell.check("they read the wrapping key", "key" in table(wrapping.data.get("data") or {}))
        self._stolen_password = text(login.data, "password") if "password" in login.data else ""
        tell.check("they read the login of the backup store", bool(self._stolen_password))
        refused = stage.send("GET", "secret/data/backup/decryption-key", token)
        tell.check(
            "the decryption key itself is refused to them",
            refused.status == HTTPStatus.FORBIDDEN,
            refused.status,
        )
        self._session = stage.connect(ROLE, self._stolen_password)
        self._session.execute("SELECT count(*) FROM backups")
        self._session.execute("CREATE ROLE maintenance LOGIN PASSWORD 'a way back in'")
        self._second = stage.connect("maintenance", "a way back in")
        tell.tell("With the login they open a database session and create a role, to stay in.")

    def exposure(self) -> None:
        """Open the second case, and list the exposed secrets."""
        tell, estate = self._teller, self._estate
        tell.chapter("Exposure: what did they get?")
        tell.run("ironkeep incident open -start=… person:engineer")
        case = estate.write(
            "incident/cases",
            title="a session of an engineer was stolen",
            subjects=["person:engineer"],
            start=self._second_started,
            basis="the last hour in which the machine was known to be clean",
        )["id"]
        tell.check("it is case 2", case == "2", case)
        tell.run("ironkeep incident exposure 2")
        exposure = estate.read("incident/cases/2/exposure")
        read = {text(row, "label") for row in tables(exposure, "did_read")}
        tell.check(
            "did read: exactly the wrapping key and the login of the backup store",
            read == {f"{WRAPPING_KEY} version 1", f"{STORE_LOGIN} version 2"},
            read,
        )
        reached = tables(exposure, "could_reach")
        rows = {text(row, "label"): row for row in reached}
        key = rows.get(f"{DECRYPTION_KEY} version 1", {})
        tell.show([f"{key.get('label')} could be reached:", *_why(key)])
        tell.check(
            "could have reached: the decryption key, with the document of case 1 and these secrets",
            bool(key.get("in_clear")) and len(array(key, "why")) > 1,
            key,
        )
        kinds = {text(row, "label") for row in reached if row["kind"] in _DATA}
        expected = {BACKUPS.replace(":", " "), f"system {self._system()}"}
        tell.check("… and with it the backups, and the database", kinds == expected, kinds)
        count = table(exposure, "counts")
        tell.tell(
            f"These are counts, not estimates: {count['did_read']} read, {count['could_read']} "
            f"readable, {count['could_reach']} reachable in all."
        )
        verdict = estate.read(f"incident/cases/1/verdict?as_of={self._closed_at}")
        named = {text(item, "label") for item in tables(verdict, "open_items")}
        tell.check(
            "as of the day of case 1, the verdict is still NOT PROVEN, and names the key",
            verdict["outcome"] == "NOT PROVEN" and f"{DECRYPTION_KEY} version 1" in named,
            named,
        )

    def containment(self) -> None:
        """Revoke the principal's access in one command, before any secret is replaced."""
        tell, estate, stage = self._teller, self._estate, self._stage
        tell.chapter("Containment")
        early = stage.send("PUT", "incident/cases/2/rotate", estate.responder, {})
        tell.check(
            "rotating first is refused: they could read the new secret at once",
            early.status == HTTPStatus.BAD_REQUEST and "contain first" in "".join(early.errors),
            early.errors,
        )
        tell.run("ironkeep incident contain 2")
        began = time.monotonic()
        contained = tables(estate.write("incident/cases/2/contain"), "contained")
        took = time.monotonic() - began
        tell.check(
            f"all tokens of the engineer are revoked, in {took * 1000:.0f} ms",
            number(contained[0], "tokens_ended") >= 1,
            contained,
        )
        again = stage.send("GET", STORE_LOGIN, self._stolen_token)
        tell.check(
            "the stolen token is refused", again.status == HTTPStatus.FORBIDDEN, again.status
        )
        login = stage.send(
            "PUT", "auth/userpass/login/engineer", data={"password": PASSWORDS["engineer"]}
        )
        tell.check("a new login is refused, too", login.status in _REFUSALS, login.status)
        assert self._session is not None
        self._session.execute("SELECT 1")
        tell.tell("Their database session is still open: containment is not eviction.")

    def eviction(self) -> None:
        """Replace the secrets, end the sessions, prove that the old secrets are dead."""
        tell, estate = self._teller, self._estate
        tell.chapter("Eviction: revoke, end sessions, prove dead")
        tell.run("ironkeep incident rotate 2")
        rotated = tables(estate.write("incident/cases/2/rotate"), "rotated")
        tell.check(
            "the login of the backup store is replaced in PostgreSQL",
            [each["state"] for each in rotated] == ["revoked"],
            rotated,
        )
        tell.check("their open database session is dead", not _answers(self._session))
        entries = [self._by_hand(secret) for secret in (WRAPPING_KEY, DECRYPTION_KEY)]
        self._second_person(entries)
        tell.check("PostgreSQL refuses a connection with the old password", self._is_refused())
        tell.run("ironkeep incident kill 2; ironkeep incident probe 2")
        ended = tables(estate.write("incident/cases/2/kill"), "sessions")
        tell.check("no session of the account is left", ended[0]["remaining"] == 0, ended)
        answer = estate.write("incident/cases/2/probe")
        probes, compared = tables(answer, "probes"), tables(answer, "compared")
        tell.check(
            "Ironkeep tried the old password itself: DEAD",
            [each["state"] for each in probes] == ["dead"],
            probes,
        )
        tell.check(
            "none of the three is what the vault gives out now",
            [each["state"] for each in compared] == ["replaced"] * 3,
            compared,
        )

    def _second_person(self, entries: list[str]) -> None:
        """Have the auditor confirm what the responder reported, after the responder tries to."""
        tell, estate = self._teller, self._estate
        path = "incident/cases/2/confirm"
        own = self._stage.send("PUT", path, estate.responder, {"items": entries})
        tell.check(
            "their report counts for nothing yet, and the responder cannot confirm it alone",
            own.status == HTTPStatus.FORBIDDEN and "another person" in "".join(own.errors),
            own.errors,
        )
        tell.run(f"ironkeep incident confirm 2 {' '.join(entries)}")
        estate.confirm("2", entries)
        tell.tell("The auditor looks at both reports, and confirms them.")

    def _by_hand(self, secret: str) -> str:
        """Replace a key as its owners do, and report it; return the entry of the report."""
        folder, _, name = secret.partition("/")
        self._estate.write(f"{folder}/data/{name}", data={"key": "a new key, not a real one"})
        done = self._estate.write(
            "incident/cases/2/rotate",
            secret=f"{secret}@1",
            method="replaced, and the backups encrypted again",
            receipt="backup job 4711: all generations re-encrypted, the old ones deleted",
            replacement=f"{secret}@2",
        )
        self._teller.tell(f"The owners of {secret} replace it and report that with a receipt.")
        return text(tables(done, "rotated")[0], "confirm")

    def persistence(self) -> None:
        """Find the role that they left behind, and remove it."""
        tell, estate, stage = self._teller, self._estate, self._stage
        tell.chapter("Persistence: a sweep against the baseline from before the breach")
        tell.run("ironkeep incident sweep 2")
        differences = self._sweep()
        tell.show(map(_difference, differences))
        acting = [one for one in differences if one["acting"]]
        tell.check(
            "it lists the role that they created, with an open session",
            len(acting) == 1 and " maintenance" in text(acting[0], "item"),
            differences,
        )
        verdict = estate.read("incident/cases/2/verdict")
        outcome = verdict["outcome"]
        tell.check("the verdict is DISPROVEN", outcome == "DISPROVEN", outcome)
        stage.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'maintenance'",
            "DROP ROLE maintenance",
        )
        tell.tell("The administrator ends that session and drops the role.")
        tell.check("the session is dead", not _answers(self._second))
        differences = self._sweep()
        for one in differences:
            tell.show([_difference(one)])
            reason = "caused by our own rotation"
            done = estate.write("incident/cases/2/explain", item=one["id"], reason=reason)
            estate.confirm("2", [text(done, "confirm")])
        tell.check(
            "the next sweep finds nothing that they left",
            not any("maintenance" in text(one, "item") for one in differences),
            differences,
        )

    def proof(self) -> None:
        """Print the verdict, and verify its evidence pack with a second program."""
        tell, estate = self._teller, self._estate
        tell.chapter("The proof")
        tell.run("ironkeep incident root 2; ironkeep incident check-root 2 …")
        checked = [
            estate.write("incident/cases/2/check-root", item=item, sound=True)
            for item in ev.ROOT_ITEMS
        ]
        details = [text(each, "detail") for each in checked]
        tell.check(
            "no exposed principal changed administrators, policies, shares or keys",
            all(re.search(r"\b0 of them by ", detail) for detail in details),
            details,
        )
        estate.confirm("2", [text(each, "confirm") for each in checked])
        estate.write("incident/cases/2/residue", words="what was read before containment was seen")
        tell.run("ironkeep incident verdict 2")
        verdict = self._stage.await_witnesses("2", estate.responder)
        left = [f"{item['label']}: {item['words']}" for item in tables(verdict, "open_items")]
        headline = text(verdict, "headline")
        tell.show([headline, f"for {verdict['scope']}"])
        tell.check("the verdict is PROVEN, for this scope", verdict["outcome"] == "PROVEN", left)
        tell.check(
            "it tells what was measured from what two people vouch for",
            headline == "PROVEN: closed: 1 measured, 2 sworn by two",
            headline,
        )
        pack = self._stage.folder / "case-2.pack"
        answer = self._stage.send("GET", "incident/cases/2/pack", estate.responder)
        pack.write_bytes(answer.body)
        self._verify(pack.name, 0, "a second program recomputes it without server or network")
        self._verify(pack.name, 5, "without pinned keys it says only SELF-CONSISTENT", pinned=False)
        forged = bytearray(answer.body)
        forged[len(forged) // 2] ^= 1
        (self._stage.folder / "forged.pack").write_bytes(forged)
        self._verify("forged.pack", 6, "a pack with one changed byte is refused")

    def _sweep(self) -> list[dict[str, object]]:
        """Sweep the database, and return how it differs from the baseline."""
        return tables(self._estate.write("incident/cases/2/sweep"), "swept", 0, "differences")

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


def _why(row: dict[str, object]) -> list[str]:
    steps = tables(row, "why") if "why" in row else []
    return [f"  {step['from']} {step['by']} {step['to']}" for step in steps]


def _difference(one: dict[str, object]) -> str:
    return f"{one['what']}: {text(one, 'item')[:90]}"


def _answers(session: psycopg.Connection[TupleRow] | None) -> bool:
    """Return whether a database session still answers."""
    assert session is not None
    try:
        session.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def _now() -> str:
    """Return the current time in the API's format, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
