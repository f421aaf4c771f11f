"""A machine that lies, one that was turned away, and a system whose word on machines counts.

P1  reports of a device's state: replayed, of another device, signed by another key
P2  reports that leave out what could not be learnt
P3  certificates: of other names, of another device, with a report from before
P4  a device that was turned away, which still holds its certificate and a token
P5  security events of an issuer that says more than it may, or is not who it says
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jws
from joserfc.jwk import ECKey, OctKey

from ironkeep.access.posture.events import CAEP, COMPLIANCE, TYPE
from ironkeep.core.device import posture_report
from ironkeep.core.device.posture_report import Report
from ironkeep.core.device.proof import certificate_message
from tests.attacks.positions.attempts import Attempts, Row
from tests.support.devices.soft_device import SoftDevice, fresh_csr

UNKNOWN: Final = ("disk_encrypted", "screen_lock_s", "firewall", "secure_boot")
"""What a report may say is not known, and a rule asks for."""
REVOKED: Final = f"{CAEP}session-revoked"


class Machine:
    """Tries what a device key, a certificate and an issuer's key allow."""

    def __init__(self, attempts: Attempts) -> None:
        self.attempts: Final = attempts
        self.target: Final = attempts.target
        key: Any = load_pem_private_key(self.target["device"]["key"].encode(), password=None)
        self.device: Final = SoftDevice(key)
        self.device.id = self.target["device"]["id"]
        self.said = 0

    def run(self) -> None:
        """Try everything."""
        self.report()
        self.leave_out()
        self.certify()
        self.come_back()
        self.say_events()

    def ask(self, row: Row, path: str, data: Any, token: str = "") -> Any:
        """Post something; return the answer's data, {} when refused."""
        answer = self.attempts.ask(row, self.attempts.nowhere, "POST", path, data, token)
        return (answer or {}).get("data") or {}

    def nonce(self, device: str = "", path: str = "device/posture/nonce") -> str:
        """Return a nonce for a device, by default the attacker's."""
        found: str = self.ask(Row("", ""), path, {"id": device or self.device.id}).get("nonce", "")
        return found

    def signed(self, raw: bytes, by: SoftDevice | None = None, id_: str = "") -> dict[str, str]:
        """Return a report as it is sent."""
        signature = (by or self.device).sign(posture_report.signed_bytes(raw))
        return {"id": id_ or self.device.id, "report": raw.decode(), "signature": signature}

    def report(self) -> None:
        """Send reports that are not this device's, or not of now."""
        control = self.attempts.row("P1", "control: a report of this device, in good order")
        good = self.signed(self.device.report(self.nonce()).encode())
        self.ask(control, "device/posture/report", good)
        row = self.attempts.row("P1", "reports of another device, key or time")
        other, stranger = self.target["other"], SoftDevice()
        raw = self.device.report(self.nonce()).encode()
        changed = raw.replace(b'"firewall":true', b'"firewall":false')
        for body in (
            good, self.signed(raw, stranger), self.signed(raw, id_=other),
            {**self.signed(raw), "report": changed.decode()}, {**self.signed(raw), "signature": ""},
            self.signed(self.device.report(self.nonce(other)).encode()),
            self.signed(self.device.report("0" * 64).encode()),
            self.signed(self.device.report(self.nonce(path="device/nonce")).encode() + b" "),
        ):  # fmt: skip
            self.ask(row, "device/posture/report", body)

    def leave_out(self) -> None:
        """Say nothing of what should be known."""
        row = self.attempts.row("P2", "reports that leave something out")
        told = self.attempts.row("P2", "of those, taken for good order")
        for changes in ({name: None} for name in UNKNOWN):
            report = msgspec.json.decode(self.device.report(self.nonce()), type=Report)
            raw = posture_report.encode(msgspec.structs.replace(report, **changes))
            found = self.ask(row, "device/posture/report", self.signed(raw))
            told.tried += 1
            told.let_in += found.get("compliant") is True and not found["findings"]
        report_text = json.loads(self.device.report(self.nonce()))
        for name in ("software", "os", "listening", "device_id", "nonce"):
            left = json.dumps({key: value for key, value in report_text.items() if key != name})
            found = self.ask(row, "device/posture/report", self.signed(left.encode()))
            told.tried += 1
            told.let_in += found.get("compliant") is True and not found["findings"]
        control = self.attempts.row("P2", "control: good order again")
        self.ask(control, "device/posture/report",
                 self.signed(self.device.report(self.nonce()).encode()))  # fmt: skip

    def certify(self) -> None:
        """Ask for certificates of more than this device, or by less than its fresh word."""
        control = self.attempts.row("P3", "control: a certificate of this device")
        nonce = self.nonce(path="device/nonce")
        good = self.device.asked(nonce, fresh_csr())
        self.ask(control, "device/certificate", good)
        row = self.attempts.row("P3", "certificates for another device, or by an older word")
        other, stranger = self.target["other"], SoftDevice()
        stranger.id = self.device.id
        self.ask(row, "device/certificate", good)
        wishes: list[Callable[[str], dict[str, str]]] = [
            lambda nonce: self.device.asked(nonce, fresh_csr(), device=other),
            lambda nonce: stranger.asked(nonce, fresh_csr()),
            lambda nonce: {**self.device.asked(nonce, fresh_csr()), "csr": fresh_csr()},
            lambda nonce: self.device.asked(nonce, fresh_csr(), report=good["report"]),
            lambda nonce: self.device.asked(nonce, fresh_csr()) | {"report": good["report"]},
            lambda nonce: self.joined(nonce, fresh_csr()),
        ]
        for wish in wishes:
            self.ask(row, "device/certificate", wish(self.nonce(path="device/nonce")))
        nonce = self.nonce(other, "device/nonce")
        self.ask(row, "device/certificate", self.device.asked(nonce, fresh_csr()))
        row = self.attempts.row("P3", "names that a certificate was asked for, and has")
        name = x509.UniformResourceIdentifier(f"urn:uuid:{other}")
        csr = fresh_csr(name, x509.DNSName("localhost"), x509.RFC822Name("ann@vault.example"))
        asked_for = self.device.asked(self.nonce(path="device/nonce"), csr)
        made = self.ask(Row("", ""), "device/certificate", asked_for).get("certificate", "")
        row.tried += 1
        row.let_in += bool(made) and bool(names_of(made) & {other, "localhost"})

    def joined(self, nonce: str, csr: str) -> dict[str, str]:
        """Return a request in which text was moved from one signed field into the next."""
        report = self.device.report(nonce)
        signature = self.device.sign(certificate_message(self.device.id, nonce, csr, report))
        return {"id": self.device.id, "nonce": nonce, "csr": csr + report[:1],
                "report": report[1:], "signature": signature}  # fmt: skip

    def come_back(self) -> None:
        """Use what a device still holds that was turned away."""
        gone, folder = self.target["gone"], self.attempts.loot
        paths = folder / "gone.pem", folder / "gone.key"
        for path, text in zip(paths, (gone["certificate"], gone["private"]), strict=True):
            path.write_text(text)
        client = self.attempts.connect(*paths)
        row = self.attempts.row("P4", "logins and tokens over a turned-away device's certificate")
        given = {"password": gone["password"]}
        for mount in ("auth/userpass/login/", "auth/guarded/login/"):
            self.attempts.ask(row, client, "POST", f"{mount}{gone['name']}", given)
        begin = {"username": "pia"}
        self.attempts.ask(row, client, "POST", "auth/passkey/login/begin", begin)
        for token in gone["tokens"]:
            self.attempts.ask(row, client, "GET", "auth/token/lookup-self", token=token)
            self.ask(row, "auth/token/renew-self", {}, token)

    def say_events(self) -> None:
        """Send events that the issuer may not send, or that another one should have."""
        control = self.attempts.row("P5", "control: what this issuer may say")
        good = self.event({}, COMPLIANCE)
        self.ask(control, "device/ssf/events", {"set": good})
        row = self.attempts.row("P5", "events that this issuer has no right to")
        person = {"format": "opaque", "id": self.target["entity"]}
        for subject in (person, {"format": "complex", "user": person}):
            self.ask(row, "device/ssf/events", {"set": self.event({"sub_id": subject})})
        row = self.attempts.row("P5", "events of another issuer, key or time, or of two people")
        for text in (good, *self.events()):
            self.ask(row, "device/ssf/events", {"set": text})

    def event(self, changes: dict[str, Any], uri: str = REVOKED, **how: Any) -> str:
        """Return an event, signed by the issuer's key, or by another one."""
        known = self.target["issuer"]
        self.said += 1
        device = {"format": "opaque", "id": self.device.id}
        state = {"current_status": "not-compliant", "previous_status": "compliant"}
        claims = {
            "iss": known["iss"], "aud": known["audience"], "jti": f"jti-{self.said}",
            "iat": known["now_s"], "sub_id": {"format": "complex", "device": device},
            "events": {uri: state if uri == COMPLIANCE else {}}, **changes,
        }  # fmt: skip
        head = {"alg": "ES256", "typ": TYPE, "kid": "k1", **how.get("head", {})}
        key: Any = how.get("key") or ECKey.import_key(known["key"], {"kid": "k1"})
        return jws.serialize_compact(
            head, json.dumps(claims).encode(), key, algorithms=[head["alg"]]
        )

    def events(self) -> Iterator[str]:
        """Yield events that are not to be believed."""
        known, user = self.target["issuer"], {"format": "opaque", "id": self.target["entity"]}
        person = {"sub_id": {"format": "complex", "user": user}}
        two = {"format": "opaque", "id": self.device.id}
        yield self.event({"sub_id": {"format": "complex", "user": user, "device": two}}, COMPLIANCE)
        yield self.event({**person, "iss": known["other"]})
        yield self.event({**person, "iss": known["other"]}, key=ECKey.generate_key("P-256"))
        public = OctKey.import_key(known["jwks"].encode())
        yield self.event({**person, "iss": known["other"]}, key=public, head={"alg": "HS256"})
        own = ECKey.generate_key("P-256")
        jwk = own.as_dict(private=False)
        yield self.event({**person, "iss": known["other"]}, key=own, head={"jwk": jwk})
        yield self.event({"aud": "https://another.example"}, COMPLIANCE)
        yield self.event({"iat": known["now_s"] + 900}, COMPLIANCE)
        yield self.event({"iat": known["now_s"] - 90_000}, COMPLIANCE)
        yield self.event({"jti": ""}, COMPLIANCE)
        yield self.event({}, COMPLIANCE, head={"typ": "JWT"})
        parts = ({"alg": "none", "typ": TYPE}, {"iss": known["other"]})
        yield (
            ".".join(urlsafe_b64encode(json.dumps(each).encode()).decode() for each in parts) + "."
        )


def names_of(pem: str) -> set[str]:
    """Return the names in a certificate, without their schemes."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(each.value).rpartition(":")[2].rpartition("/")[2] for each in found}
