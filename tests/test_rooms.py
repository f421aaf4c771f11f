"""Every module has its test where one looks for it, and no room or folder grows out of sight."""

from collections import Counter
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "src" / "ironkeep"
TESTS: Final = ROOT / "tests"

MAX_FILES: Final = 15
"""Python files in a folder, its __init__ among them: as many as one takes in at a look."""
MAX_FLAT_LINES: Final = 3_000
"""Lines of a room that has no folders."""
MAX_SHARE: Final = 0.13
"""The part of all lines that one room may hold."""

STANDS_FOR: Final[tuple[tuple[str, str, str], ...]] = (
    ("access/alerts/test_alerts.py", "access/alerts", "routes"),
    ("access/approvals/test_approvals.py", "access/approvals",
     "control_group pending record routes tallies"),
    ("access/approvals/test_weaker_changes.py", "access", "second_person"),
    ("access/break_glass/test_break_glass.py", "access/break_glass", "cases routes"),
    ("access/budgets/test_budgets.py", "access/budgets", "manifests record routes"),
    ("access/budgets/test_budgets.py", "access", "features guards"),
    ("access/devices/test_enrolment.py", "access", "device_engine"),
    ("access/devices/test_enrolment.py", "access/devices", "authority devices nonces routes"),
    ("access/devices/test_refused_devices.py", "access/devices", "login machine"),
    ("access/identity_report/test_copyable_logins.py", "access/identity_report", "routes"),
    ("access/posture/test_events.py", "access/posture", "issuers receiver"),
    ("access/posture/test_posture.py", "access/posture", "reports routes state"),
    ("access/segments/test_flow_table.py", "access/segments", "flow_routes"),
    ("access/segments/test_rebuild.py", "access/segments", "reach"),
    ("access/step_up/test_step_ups.py", "access/step_up", "authenticators fresh_touch"),
    ("adapters/outbound/test_http.py", "adapters/outbound", "causes"),
    ("adapters/process/test_messages.py", "adapters/process", "signals"),
    ("adapters/questions/test_process.py", "adapters/questions", "channel serving"),
    ("adapters/questions/test_process.py", "", "worker"),
    ("adapters/sqlite/test_storage.py", "adapters/sqlite", "connection files schema"),
    ("adapters/witness/test_witnesses.py", "adapters/witness", "http mirror_upload peer"),
    ("agent/test_certificates.py", "agent", "upstream"),
    ("agent/test_daemon.py", "agent", "enrolment"),
    ("agent/test_keys.py", "agent", "file_key pkcs11_key tpm_key"),
    ("agent/test_listening.py", "agent", "proxy"),
    ("agent/test_patience.py", "agent", "vault"),
    ("api/commit/test_committer.py", "api/commit", "quorum slow_work sync trouble"),
    ("api/commit/test_turns.py", "api/commit", "workers"),
    ("identity/lending/test_performing.py", "identity/lending", "lend performer sweeping"),
    ("plugin/effects/test_listings.py", "plugin/effects", "pauses"),
    ("api/http/test_hostile.py", "api/http", "bodies protocol"),
    ("api/http/test_short_way.py", "api/http", "asgi"),
    ("api/test_server.py", "api", "listening service tls"),
    ("api/witness/test_witness.py", "api/witness", "server"),
    ("auth/approle/test_approle.py", "auth/approle", "issuing login role secret_ids settings"),
    ("auth/cert/test_cert.py", "auth/cert", "chain login role"),
    ("auth/jwt/test_jwt.py", "auth/jwt", "claims config keys login role"),
    ("auth/passkey/test_hands.py", "auth/passkey", "own people recovery settings touching"),
    ("auth/passkey/test_passkey.py", "auth/passkey", "ceremony login registration"),
    ("auth/token/test_token.py", "auth/token", "create lifecycle roles"),
    ("auth/userpass/test_userpass.py", "auth/userpass", "hashing lockout login users"),
    ("cli/access/test_passkey.py", "auth/passkey", "loopback"),
    ("agent/test_daemon.py", "cli/access", "agent"),
    ("cli/audit/test_audit.py", "cli/audit", "proof trust verify"),
    ("cli/incident/test_incident.py", "cli/incident", "verdict_table"),
    ("cli/client/test_connection.py", "cli/client", "client"),
    ("cli/access/test_login.py", "cli/client", "tokenfile"),
    ("cli/operator/test_operator.py", "cli/operator", "attempt clock rekey root status"),
    ("cli/operator/test_server.py", "cli/operator", "dev"),
    ("cli/operator/test_epoch.py", "adapters/log", "epoch_begin node_logs"),
    ("cli/secrets/test_kv.py", "cli/secrets", "kv_metadata kv_mount"),
    ("cli/secrets/test_mounts.py", "cli/access", "policy token"),
    ("cli/secrets/test_mounts.py", "cli/secrets", "lease"),
    ("cli/test_command.py", "cli", "exits failures main version"),
    ("cli/test_words.py", "cli/client", "inputs"),
    ("cli/test_words.py", "cli/output", "colours documents pretty render terminal"),
    ("cli/audit/test_audit.py", "cli/output", "progress"),
    ("cli/operator/test_server.py", "cli/output", "log_file"),
    ("connectors/postgresql/test_connector.py", "connectors/postgresql",
     "channel link outcome probe"),
    ("connectors/postgresql/test_environment.py", "connectors/postgresql", "trust"),
    ("connectors/postgresql/test_hostile.py", "connectors/postgresql", "refusal"),
    ("connectors/postgresql/test_inventory.py", "connectors/postgresql", "stock"),
    ("connectors/postgresql/test_inventory.py", "connectors/postgresql/catalogue",
     "builtin cluster code relations reviewed sharing source"),
    ("connectors/postgresql/test_login.py", "connectors/postgresql", "wire"),
    ("credentials/test_rotation.py", "core/credential", "connector"),
    ("credentials/test_rotation.py", "credentials", "rotation_actions rotation_record"),
    ("core/device/test_posture.py", "core/device", "posture_report posture_rules"),
    ("core/evidence/test_estate.py", "core/evidence", "activity node reach"),
    ("core/evidence/test_estate.py", "core/evidence/records", "evidence record response scope"),
    ("core/evidence/test_verdict.py", "core/evidence", "casefile claim remediation"),
    ("core/evidence/test_verdict.py", "core/evidence/checks", "credentials"),
    ("core/evidence/test_verdict.py", "core/evidence/checks", "intruders record table"),
    ("core/evidence/test_endings.py", "core/evidence/checks", "endings"),
    ("incident/verifier/test_golden.py", "incident/verifier", "older"),
    ("incident/verifier/test_verifier.py", "core/evidence/packing", "pack"),
    ("incident/survey/test_survey.py", "incident/survey", "catalogue grants holdings rules"),
    ("core/policy/test_acl.py", "core/policy", "builtin"),
    ("auth/token/test_token.py", "core/policy", "glob"),
    ("access/segments/test_flow_table.py", "core/policy", "flows"),
    ("access/classes/test_classes.py", "core/policy", "secret_class"),
    ("core/text/test_numbers.py", "core/text", "number_hook"),
    ("engines/test_one_name.py", "core/text", "spelling"),
    ("adapters/sqlite/test_contract.py", "core", "ports"),
    ("adapters/log/test_files.py", "core", "logport"),
    ("core/policy/test_acl.py", "core", "operation"),
    ("identity/test_lifetimes.py", "core", "units"),
    ("test_tidy.py", "core", "errors"),
    ("test_tidy.py", "api", "errors"),
    ("crash/test_hashes.py", "journal", "tree"),
    ("crash/test_machine_limits.py", "adapters/process", "disks machine"),
    ("crash/test_private_files.py", "agent", "private_files"),
    ("incident/case/test_documents.py", "credentials", "listing"),
    ("config/test_config.py", "config", "environment fields file settings"),
    ("test_app.py", "", "timer"),
    ("credentials/test_managed.py", "credentials", "accounts outcomes wiring"),
    ("demo/test_demo.py", "demo", "command estate replay stage story teller"),
    ("cli/operator/test_witness_server.py", "demo", "witness_process"),
    ("engines/database/test_database.py", "engines/database", "care configuration roles watch"),
    ("engines/kv/test_names.py", "engines/kv", "document"),
    ("engines/kv/test_v2.py", "engines/kv", "kept metadata v2_metadata"),
    ("engines/system/test_keys.py", "engines/system", "tools"),
    ("engines/system/test_leases.py", "engines/system", "wrapping"),
    ("engines/system/test_mounts.py", "engines/system", "internal remount"),
    ("engines/system/test_policies.py", "engines/system", "capabilities"),
    ("engines/system/test_search.py", "engines/system/search", "subjects"),
    ("engines/system/test_search.py", "plugin/effects", "readings"),
    ("identity/test_tokens.py", "identity", "batch_token token_issuer token_store token_view"),
    ("incident/test_engine.py", "incident/case",
     "cases links naming proof root views workspace"),
    ("incident/test_engine.py", "incident/case", "reads"),
    ("incident/test_engine.py", "incident/eviction", "containment rotation sweep"),
    ("incident/eviction/test_cut.py", "incident/eviction", "groups"),
    ("incident/eviction/test_present.py", "incident/eviction", "texts"),
    ("incident/case/test_documents.py", "incident/case", "guesses"),
    ("incident/test_places.py", "incident/eviction", "endings lines own places"),
    ("credentials/test_scope.py", "credentials", "actor"),
    ("incident/test_engine.py", "incident/evidence", "archive jobs"),
    ("incident/verifier/test_indexed.py", "incident/evidence", "excerpt gathering packer window"),
    ("incident/verifier/test_reads.py", "incident/verifier", "statement"),
    ("incident/verifier/test_verifier.py", "incident/verifier", "disclosed trust"),
    ("journal/questions/test_search.py", "journal/questions", "session"),
    ("journal/index/test_index.py", "journal/index", "block blocks build on_record"),
    ("journal/test_epochs.py", "journal", "log"),
    ("journal/test_damage.py", "journal", "scan"),
    ("journal/test_journal.py", "journal", "checkpoints wal"),
    ("journal/test_epochs.py", "kernel", "adoption"),
    ("engines/system/test_sealing.py", "kernel", "health"),
    ("auth/test_pipeline.py", "kernel", "issuing"),
    ("kernel/test_pipeline.py", "kernel", "house"),
    ("engines/test_routes_contract.py", "kernel", "admission help routing"),
    ("kernel/test_pipeline.py", "plugin", "call request response"),
    ("engines/test_routes_contract.py", "plugin", "route"),
    ("plugin/effects/test_effects.py", "plugin/effects", "answer expiring"),
    ("adapters/questions/test_process.py", "plugin/effects", "questions"),
    ("auth/jwt/test_jwt.py", "plugin/effects", "outbound"),
    ("plugin/test_mounts.py", "plugin", "entries mount services"),
    ("access/segments/test_keys.py", "plugin", "settings"),
    ("identity/test_tokens.py", "plugin", "token"),
    ("seal/test_segments.py", "seal", "segment_keys segment_record"),
    ("attacks/test_bulk.py", "store", "demolition"),
    ("store/test_barrier.py", "store", "rows"),
    ("testing/test_server.py", "testing", "tls"),
    ("testing/simulation/test_story.py", "testing/simulation",
     "attack cluster events response step truth world"),
    ("testing/simulation/test_named_stories.py", "testing/simulation", "named"),
    ("testing/test_page.py", "testing", "plugins vault"),
    ("journal/test_faults.py", "testing", "memory_log"),
)  # fmt: skip
"""A test file, and the modules of a folder that it tests though it is not named after them."""


def modules() -> set[str]:
    """Return src/ironkeep's modules as folder/name; packages and the entrance are no modules."""
    return {
        path.relative_to(PACKAGE).with_suffix("").as_posix()
        for path in PACKAGE.rglob("*.py")
        if path.stem not in {"__init__", "__main__"}
    }


def mirror(module: str) -> Path:
    """Return where the test of a module is looked for."""
    folder, _, name = module.rpartition("/")
    return TESTS / folder / f"test_{name}.py"


def stood_for() -> Counter[str]:
    """Return the modules of the table, and how often each is named."""
    return Counter(
        f"{folder}/{name}".lstrip("/") for _, folder, names in STANDS_FOR for name in names.split()
    )


def test_every_module_has_its_test() -> None:
    without = {module for module in modules() if not mirror(module).is_file()}
    missing = sorted(without - set(stood_for()))
    assert missing == [], "write the test of the same path, or name one that stands for it"


def test_no_entry_of_the_table_is_stale() -> None:
    assert [test for test, _, _ in STANDS_FOR if not (TESTS / test).is_file()] == []
    named = stood_for()
    assert sorted(set(named) - modules()) == [], "these modules are gone"
    assert [module for module in named if mirror(module).is_file()] == [], "have their own test"
    assert [module for module, count in named.items() if count > 1] == [], "are named twice"


def test_folders_stay_small() -> None:
    counts = Counter(path.parent for top in (PACKAGE, TESTS) for path in top.rglob("*.py"))
    large = {str(at.relative_to(ROOT)): n for at, n in counts.items() if n > MAX_FILES}
    assert large == {}


def lines_of_rooms() -> Counter[str]:
    """Return the lines of each top-level folder; the modules beside them count as "."."""
    found: Counter[str] = Counter()
    for path in PACKAGE.rglob("*.py"):
        room, *rest = path.relative_to(PACKAGE).parts
        found[room if rest else "."] += len(path.read_text(encoding="utf-8").splitlines())
    return found


def test_a_large_room_has_folders() -> None:
    flat = {
        room: lines
        for room, lines in lines_of_rooms().items()
        if lines > MAX_FLAT_LINES and not any((PACKAGE / room).glob("*/__init__.py"))
    }
    assert flat == {}


def test_no_room_holds_much_more_than_the_others() -> None:
    rooms = lines_of_rooms()
    total = rooms.total()
    shares = {room: round(lines / total, 3) for room, lines in rooms.items()}
    assert {room: share for room, share in shares.items() if share >= MAX_SHARE} == {}
