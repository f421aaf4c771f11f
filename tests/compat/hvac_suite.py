"""Runs hvac's own integration tests, unmodified, against `ironkeep server`.

`python tests/compat/hvac_suite.py` runs them and writes the two lists of test ids into docs/api.md;
test_hvac.py runs them and compares.
"""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUITE = ROOT / ".venv" / "hvac-2.4.0"
DOCS = ROOT / "docs" / "api.md"
BEGIN, END = "<!-- hvac: begin -->", "<!-- hvac: end -->"
TIMEOUT_SECONDS = 1_200

_API = "tests/integration_tests/api"
FILES = (
    f"{_API}/secrets_engines/test_kv_v1.py",
    f"{_API}/secrets_engines/test_kv_v2.py",
    *(f"{_API}/auth_methods/test_{name}.py" for name in ("approle", "cert", "jwt", "token")),
    *(
        f"{_API}/system_backend/test_{name}.py"
        for name in (
            "audit", "auth", "health", "init", "key", "leader", "lease", "mount", "namespace",
            "policies", "policy", "seal", "wrapping",
        )
    ),
    "tests/integration_tests/v1/test_approle.py",
    "tests/integration_tests/v1/test_integration.py",
    "tests/integration_tests/v1/test_system_backend.py",
)  # fmt: skip
"""Every file of the suite that holds a test which needs only what is built here."""

LEAVE_IT_SEALED = (
    f"{_API}/system_backend/test_seal.py::TestSeal::test_unseal_multi",
    "tests/integration_tests/v1/test_system_backend.py::TestSystemBackend::test_unseal_multi",
)
"""These fail between two shares, so that whatever follows in their class would fail with them."""

_APPROLE = "secret ids are handed out wrapped"
_AUDIT = "the journal cannot be added to by API"
REFUSED = {
    _APPROLE: (
        "test_approle::TestAppRole::test_create_custom_secret_id_0_good_request_no_metadata",
        "test_approle::TestAppRole::test_destroy_secret_id",
        "test_approle::TestAppRole::test_destroy_secret_id_accessor",
        "test_approle::TestAppRole::test_generate_secret_id_0_good_request_no_metadata",
        "test_approle::TestAppRole::test_list_secret_id_accessors",
        "test_approle::TestAppRole::test_login",
        "test_approle::TestAppRole::test_read_secret_id",
        "test_approle::TestAppRole::test_read_secret_id_accessor",
        "test_approle::TestApprole::test_auth_approle",
        "test_approle::TestApprole::test_auth_approle_dont_use_token",
        "test_approle::TestApprole::test_create_delete_role_secret_id",
        "test_approle::TestApprole::test_list_role_secrets_1_one_secret_id",
        "test_approle::TestApprole::test_list_role_secrets_2_two_secret_ids",
    ),
    _AUDIT: (
        "test_audit::TestAudit::test_audit_backend_manipulation",
        "test_audit::TestAudit::test_audit_hash_0_hash_returned",
        "test_system_backend::TestSystemBackend::test_audit_backend_manipulation",
        "test_system_backend::TestSystemBackend::test_audit_hash_0_hash_returned",
    ),
    "a reset of an unsealing takes the nonce of the attempt": (
        "test_seal::TestSeal::test_unseal_multi",
        "test_system_backend::TestSystemBackend::test_unseal_multi",
    ),
}
"""What fails because it is refused on purpose, by the reason that docs/api.md explains."""

_V1 = "test_integration::IntegrationTest"
_PKI = "the pki engine"
_TRANSIT = "the transit engine"
_OIDC = "identity tokens (identity/oidc)"
_GITHUB = "the github method"
_GCP = "the gcp method"
ABSENT = {
    _PKI: (
        "test_lease::TestLease::test_list_leases",
        "test_lease::TestLease::test_read_lease",
        "test_lease::TestLease::test_revoke_force",
        "test_lease::TestLease::test_revoke_lease",
        "test_lease::TestLease::test_revoke_prefix",
        "test_system_backend::TestSystemBackend::test_read_lease",
    ),
    _OIDC: (
        "test_jwt::TestJWT::test_configure_0_configure_using_vault_identity_OIDC",
        "test_jwt::TestJWT::test_jwt_login_0_success",
        "test_jwt::TestJWT::test_read_config_0_configure_using_vault_identity_OIDC",
    ),
    _GITHUB: (
        "test_auth::TestAuth::test_auth_backend_manipulation",
        "test_system_backend::TestSystemBackend::test_auth_backend_manipulation",
    ),
    _GCP: (f"{_V1}::test_auth_gcp_alternate_mount_point_with_no_client_token_exception",),
    _TRANSIT: (f"{_V1}::test_write_with_response",),
}
"""What fails because an engine or a method that it enables is not built, by what it is."""

OF_THE_CLIENT = (
    "test_cert::TestCert::test_login_0_testrole",
    "test_cert::TestCert::test_login_1_",
    "test_cert::TestCert::test_login_2_testrole2",
    "test_cert::TestCertEnv::test_login_0_testrole",
    "test_cert::TestCertEnv::test_login_1_",
    "test_cert::TestCertEnv::test_login_2_testrole2",
    "test_integration::IntegrationTest::test_illegal_token",
)
"""What fails before a byte is sent: the tests give a certificate without its key, and expect the
words of an older release of requests."""

UNKNOWN = "not looked into"


@dataclass(frozen=True)
class Results:
    """Test ids by outcome, each sorted."""

    passed: list[str]
    failed: list[str]
    skipped: list[str]


def run(files: tuple[str, ...] = FILES) -> Results:
    """Run the suite's files, and the tests that leave a sealed vault after all others."""
    apart = tuple(name for name in LEAVE_IT_SEALED if name.partition("::")[0] in files)
    outcomes = _run(*files, *(f"--deselect={name}" for name in apart))
    for name in apart:
        outcomes |= _run(name)
    return Results(
        *(
            sorted(name for name, outcome in outcomes.items() if outcome == wanted)
            for wanted in ("passed", "failed", "skipped")
        )
    )


def _run(*words: str) -> dict[str, str]:
    """Run tests one after another in one process; return what came of each."""
    report = SUITE / "report.xml"
    report.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PATH": f"{ROOT / 'tests' / 'compat' / 'bin'}:{os.environ['PATH']}",
        "IRONKEEP_PYTHON": sys.executable,
    }
    # What is asked of our own tests, an order say, is not asked of these.
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:randomly", "-W", "ignore",
            f"--junitxml={report}", *words,
        ],
        cwd=SUITE, env=environment, capture_output=True, text=True, check=False,
        timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    if not report.exists():
        raise RuntimeError(f"hvac's suite did not run:\n{done.stdout}\n{done.stderr}")
    return _read(report)


def _read(report: Path) -> dict[str, str]:
    outcomes: dict[str, str] = {}
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        module = case.get("classname", "").split(".")[-2]
        outcome = "passed"
        if case.find("failure") is not None or case.find("error") is not None:
            outcome = "failed"
        elif case.find("skipped") is not None:
            outcome = "skipped"
        outcomes[f"{module}::{name}"] = outcome
    return outcomes


def as_markdown(results: Results) -> str:
    """Return the lists as they stand in docs/api.md."""
    reasons = {name: why for why, names in REFUSED.items() for name in names}
    failed = set(results.failed)
    refused = sorted(failed & set(reasons))
    own = sorted(failed & set(OF_THE_CLIENT))
    absent = sorted(failed - set(refused) - set(own))
    lacks = {name: why for why, names in ABSENT.items() for name in names}
    lines = [
        (
            f"{len(results.passed)} pass, {len(refused)} are refused on purpose, {len(absent)} are "
            f"not supported yet, {len(own)} fail in the client before anything is sent, "
            f"{len(results.skipped)} skip themselves (another edition or release of Vault)."
        )
    ]
    for title, names in (
        ("Pass", [f"`{name}`" for name in results.passed]),
        ("Refused on purpose", [f"`{name}`: {reasons[name]}" for name in refused]),
        ("Not supported yet", [f"`{name}`: {lacks.get(name, UNKNOWN)}" for name in absent]),
        ("Fail in the client itself", [f"`{name}`" for name in own]),
    ):
        lines += ["", f"### {title}", "", *(f"- {name}" for name in names)]
    return "\n".join(lines)


def documented() -> str:
    """Return what docs/api.md says."""
    return DOCS.read_text().partition(BEGIN)[2].partition(END)[0].strip()


def write(results: Results) -> None:
    """Put the lists into docs/api.md."""
    before, _, rest = DOCS.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    DOCS.write_text(f"{before}{BEGIN}\n{as_markdown(results)}\n{END}{after}")


if __name__ == "__main__":
    found = run()
    write(found)
    print(f"{len(found.passed)} passed, {len(found.failed)} failed, {len(found.skipped)} skipped")
