"""Named stories: each is a way in which a verdict was wrong once, or must be right in any release.

S1 to S8    scenarios of known breaches
others      gaps that were found by attacking the verdict
"""

from dataclasses import dataclass
from typing import Final

EVICTION: Final = (
    "do what=contain", "do what=rotate", "replace", "do what=kill", "do what=probe",
    "do what=sweep", "check-root", "residue", "confirm",
)  # fmt: skip
"""The steps of an eviction, in their order; the word `evict` in a story stands for them."""


@dataclass(frozen=True)
class Named:
    """A story with the verdicts that are right for it, and what the open items must name.

    `names` are (check, part of the label) of items that must stand against the case, `then` those
    that must stand against it as of each earlier verdict, asked for again at the end.
    """

    title: str
    text: str
    right: tuple[str, ...] = ("NOT PROVEN",)
    names: tuple[tuple[str, str], ...] = ()
    then: tuple[tuple[str, str], ...] = ()

    @property
    def story(self) -> str:
        """The text of the story in full."""
        return spelt_out(self.text)


SCENARIOS: Final = {
    "S1": Named(
        "LastPass: an encrypted key is stolen first, and the key to it months later",
        """
        register
        leak
        open on=document:repository
        residue
        judge
        wait seconds=3600
        grant policies=mailer
        steal
        read path=secret/data/mail
        open
        do what=contain
        """,
        names=(("not revoked", "secret/key"),),
        then=(("not revoked", "secret/key"),),
    ),
    "S2": Named(
        "Cloudflare: one password that was believed unused, among many that were rotated",
        """
        roles count=40
        wait seconds=60
        steal
        open
        do what=contain
        rotate-each but=app-7
        replace
        do what=kill
        do what=probe
        do what=sweep
        check-root
        residue
        confirm
        """,
        names=(("not revoked", "database/static-creds/app-7 version 1"),),
    ),
    "S3": Named(
        "Trivy: the attacker still listens while secrets are rotated",
        """
        steal password=true
        token kind=orphan
        token kind=wrapped
        read
        open
        do what=rotate
        read
        do what=contain
        read
        read by=1
        login
        do what=rotate
        read
        read by=1
        login
        replace
        do what=kill
        do what=probe
        do what=sweep
        check-root
        residue
        confirm
        work
        work
        """,
        right=("PROVEN",),
    ),
    "S4": Named(
        "Storm-0558: one verifier still accepts what was revoked everywhere else",
        """
        steal
        read
        back-up
        open
        do what=contain
        do what=rotate
        back-up restore=true
        replace
        do what=kill
        do what=probe
        do what=sweep
        check-root
        residue
        confirm
        """,
        right=("DISPROVEN",),
        names=(("worked after revocation", "database/static-creds/app version 2"),),
    ),
    "S5": Named(
        "Okta: whatever way a secret takes out of the vault, it is on record",
        """
        steal
        token kind=batch
        token kind=wrapped
        read
        read path=secret/data/key by=1
        wrap path=secret/data/key
        wrap path=secret/data/key open=true by=1
        open
        do what=contain
        """,
        names=(
            ("not revoked", "database/static-creds/app version 2"),
            ("not revoked", "secret/key version 1"),
        ),
    ),
    "S8": Named(
        "The attacker made a second account, a user, a role and a hook",
        """
        steal
        read
        connect
        plant
        plant kind=hook name=mirror
        make-user
        make-role
        open
        evict
        """,
        right=("NOT PROVEN", "DISPROVEN"),
        names=(
            ("not explained", "account backdoor"),
            ("not explained", "trigger mirror"),
            ("foothold in vault", "entry:"),
        ),
    ),
}


def spelt_out(text: str) -> str:
    """Return a text with `evict` spelt out; `evict but=kill,probe` leaves those steps out."""
    return "\n".join("\n".join(_lines(line.strip())) for line in text.strip().splitlines())


def _lines(line: str) -> list[str]:
    verb, _, left_out = line.partition(" but=")
    if verb != "evict":
        return [line]
    names = left_out.split(",")
    return [each for each in EVICTION if each.removeprefix("do what=") not in names]


_ANY: Final = ("NOT PROVEN", "DISPROVEN", "PROVEN")
"""For stories in which the eviction may have reached the attacker after all."""

FAULTS: Final = {
    "V01 a login begun before the rotation": Named(
        "", "steal\nread\nconnect later=true\nopen\nevict"
    ),
    "V01 the same at a standby": Named(
        "", "steal\nread\nconnect later=true endpoint=1\nopen\nevict"
    ),
    "V02 a static role deleted before the case": Named(
        "", "steal\npeek\ndelete path=database/static-roles/app\nopen\nwork\nwork"
    ),
    "V02 a secret deleted before the case": Named(
        "",
        "steal\npeek path=secret/data/key\ndelete path=secret/metadata/key\nopen\nwork\nwork",
    ),
    "V02 a mount disabled before the case": Named(
        "", "steal\npeek path=secret/data/key\ndelete path=sys/mounts/secret\nopen\nwork\nwork"
    ),
    "V02 a version pruned before the case": Named(
        "",
        "keep\nsteal\npeek path=secret/data/key\nwrite portal=false\nopen\nwork\nwork",
        _ANY,
    ),
    "V03 a token of before, with policies of before": Named(
        "",
        """
        grant policies=staff,payer
        arrive
        wait seconds=60
        steal before=true
        peek path=secret/data/pay
        wait seconds=3000000
        grant policies=staff
        arrive who=rita
        arrive who=rob
        open
        evict
        """,
    ),
    "V04 the clock is put back while the vault is down": Named(
        "", "steal\nread\nclock seconds=-3600 down=true\nopen\nevict", _ANY
    ),
    "V05 a role made by a request that was answered with an error": Named(
        "",
        "steal\nfail op=set how=silent\nfail op=probe how=silent\nadopt\nopen\nevict",
    ),
    "V06 a host taken out of the connection": Named(
        "",
        "steal\nread\nbehind\ndrop-host\nopen\nevict",
        right=("DISPROVEN",),
    ),
    "V09 an account planted after the sweep": Named(
        "",
        """
        steal
        read
        open
        evict
        wait seconds=2592000
        arrive who=rita
        arrive who=rob
        plant unseen=true
        do what=probe
        """,
    ),
    "V10 a user whom the attacker made": Named(
        "", "steal\nmake-user\nlogin\nread path=secret/data/key by=1\nopen\nevict\nwork", _ANY
    ),
    "V10 a user whom the attacker made, deleted": Named(
        "",
        """
        steal
        make-user policies=payer
        login
        peek path=secret/data/pay by=1
        delete path=auth/userpass/users/eve
        open
        evict
        work
        """,
        _ANY,
    ),
    "a value that another secret has": Named(
        "",
        "reuse name=pay source=key\nsteal\nread path=secret/data/key\nopen\nevict",
        names=(("still current", "secret/key version 1"),),
    ),
    "readmitted with the password that was stolen": Named(
        "", "steal password=true\nopen\nevict\nreadmit forget=true", _ANY
    ),
    "a policy written by a user whom the attacker made": Named(
        "",
        "steal\nmake-user policies=staff\nlogin\nwiden-policy by=1\nopen\nevict",
    ),
    "an account planted after the sweep, before the sessions ended": Named(
        "",
        """
        steal
        read
        connect later=true
        open
        do what=contain
        do what=rotate
        replace
        do what=sweep
        finish
        plant
        evict but=contain,rotate,replace,sweep
        """,
        names=(("not swept", "db.example"),),
    ),
    "a case on a token that never was": Named(
        "", "steal\nread\nopen on=token:misspelt\nevict but=rotate,replace,kill,probe,sweep"
    ),
    "a revocation that was reported and not done": Named(
        "",
        """
        steal
        read path=secret/data/key
        open
        do what=contain
        replace lie=true
        do what=rotate
        do what=kill
        do what=probe
        do what=sweep
        check-root
        residue
        confirm
        """,
    ),
}
