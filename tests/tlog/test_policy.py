"""Trust policies: what is read, what is refused, and when a quorum has cosigned."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.tlog.policy import MAX_DEFINITIONS, MAX_POLICY, Policy
from tests.support.log.sample_log import SampleLog, sample_cosigner

LOG = SampleLog()
LOG.append([b"one"])
LOG_KEY = LOG.signer.key.format()
COSIGNERS = [sample_cosigner(f"w{number}.example") for number in range(1, 7)]
KEYS = [cosigner.key.format() for cosigner in COSIGNERS]
WITNESSES = "".join(f"witness W{number} {key}\n" for number, key in enumerate(KEYS, start=1))

TWO_LEVELS = f"""# Two organisations
log {LOG_KEY} https://log.example/
{WITNESSES}
group X-witnesses 2 W1 W2 W3
\tgroup Y-witnesses\tany W4 W5  W6\x20
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def parse(text: str) -> Policy:
    return Policy.parse(text.encode())


def test_the_example_of_the_specification() -> None:
    policy = parse(TWO_LEVELS)
    assert policy.text == TWO_LEVELS.encode()
    assert [(log.key.format(), log.url) for log in policy.logs] == [
        (LOG_KEY, "https://log.example/")
    ]
    assert [witness.key.format() for witness in policy.witnesses] == KEYS
    assert [(group.name, group.threshold) for group in policy.groups] == [
        ("X-witnesses", 2), ("Y-witnesses", 1), ("X-and-Y", 2),
    ]  # fmt: skip
    assert policy.quorum == "X-and-Y"


@pytest.mark.parametrize(
    ("cosigners", "enough"),
    [
        ("W1 W2 W4", True), ("W1 W3 W6", True), ("W1 W2 W3 W4 W5 W6", True), ("", False),
        ("W1 W2 W3", False), ("W4 W5 W6", False), ("W1 W4 W5 W6", False),
        # The name of a group is not that of a cosigner, and neither is a stranger's.
        ("X-and-Y", False), ("X-witnesses Y-witnesses", False), ("W1 stranger W4", False),
    ],
)  # fmt: skip
def test_quorum(cosigners: str, enough: bool) -> None:
    policy = parse(TWO_LEVELS)
    if enough:
        policy.check(cosigners.split())
    else:
        with pytest.raises(IntegrityError, match="quorum X-and-Y"):
            policy.check(cosigners.split())


def test_a_repeated_cosigner_counts_once() -> None:
    with pytest.raises(IntegrityError):
        parse(TWO_LEVELS).check(["W1", "W1", "W4"])


def test_a_quorum_of_one_witness_or_none() -> None:
    policy = parse(f"{WITNESSES}quorum W2\n")
    policy.check(["W2"])
    with pytest.raises(IntegrityError):
        policy.check(["W1"])
    parse("quorum none\n").check([])


def test_names_of_verified_signatures() -> None:
    policy = parse(f"witness W1 {KEYS[0]}\nquorum W1\n")
    head = LOG.checkpoint()
    lines = [cosigner.cosign(head, time) for cosigner in COSIGNERS[:2] for time in (1, 2)]
    assert policy.witness_names(lines) == {"W1": lines[:2]}
    assert [verifier.key for verifier in policy.witness_verifiers()] == [COSIGNERS[0].key]


QUORUM = "quorum none\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "exactly one quorum"),
        (QUORUM * 2, "line 2: exactly one quorum"),
        ("quorum none", "newline"),
        ("quorum\n", "not a log, witness"),
        ("quorum none none\n", "not a log, witness"),
        ("Quorum none\n", "not a log, witness"),
        ("quorum W1\n" + WITNESSES, "line 1: the name W1 is not defined"),
        (f"log\n{QUORUM}", "not a log, witness"),
        (f"log x\n{QUORUM}", "line 1: a key is written"),
        (f"log {LOG_KEY} a b\n{QUORUM}", "not a log, witness"),
        (f"log {LOG_KEY}\nlog {LOG_KEY}\n{QUORUM}", "line 2: this log key"),
        (f"log {KEYS[0]}\n{QUORUM}", "not a key of type Ed25519"),
        (f"witness W1 {LOG_KEY}\n{QUORUM}", "not a key of type cosignature"),
        (f"witness W1 {KEYS[0]}\nwitness W2 {KEYS[0]}\n{QUORUM}", "this witness key"),
        (f"witness W1 {KEYS[0]}\nwitness W1 {KEYS[1]}\n{QUORUM}", "the name W1 is taken"),
        (f"witness none {KEYS[0]}\n{QUORUM}", "the name none is taken"),
        (f"{WITNESSES}group W1 any W2\n{QUORUM}", "the name W1 is taken"),
        (f"{WITNESSES}group none any W2\n{QUORUM}", "the name none is taken"),
        (f"{WITNESSES}group G any\n{QUORUM}", "not a log, witness"),
        (f"{WITNESSES}group G any none\n{QUORUM}", "the name none is not defined"),
        (f"{WITNESSES}group G any G\n{QUORUM}", "the name G is not defined"),
        (f"{WITNESSES}group G 2 W1 W1\n{QUORUM}", "W1 is in a group already"),
        (f"{WITNESSES}group G any W1\ngroup H any W1\n{QUORUM}", "W1 is in a group already"),
        (f"{WITNESSES}group G 0 W1\n{QUORUM}", "threshold 0"),
        (f"{WITNESSES}group G 3 W1 W2\n{QUORUM}", "threshold 3"),
        (f"{WITNESSES}group G 01 W1 W2\n{QUORUM}", "leading zeros"),
        (f"{WITNESSES}group G most W1 W2\n{QUORUM}", "not a decimal"),
        (QUORUM.replace("\n", "\r\n"), "control character"),
        (f"# \x07\n{QUORUM}", "control character"),
        (f"#{'x' * MAX_POLICY}\n{QUORUM}", "longer than"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        parse(text)


def test_only_utf8() -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        Policy.parse(b"# \xff\nquorum none\n")


def test_no_more_than_64_of_a_kind() -> None:
    keys = [sample_cosigner(f"{number}.example").key.format() for number in range(65)]
    lines = [f"witness W{number} {key}\n" for number, key in enumerate(keys)]
    names = " ".join(f"W{number}" for number in range(MAX_DEFINITIONS))
    full = "".join(lines[:MAX_DEFINITIONS]) + f"group all-of-them all {names}\nquorum all-of-them\n"
    parse(full).check(names.split())
    with pytest.raises(IntegrityError):
        parse(full).check(names.split()[1:])
    with pytest.raises(InvalidRequest, match="line 65: at most 64"):
        parse("".join(lines) + QUORUM)


plain_words = ["log", "witness", "group", "quorum", "none", "any", "all", "1", "2", "W1", "G", "#"]
words = st.sampled_from([*plain_words, "\n", LOG_KEY, *KEYS[:2]])


@given(st.lists(words, max_size=30).map(" ".join) | st.text(max_size=60))
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    for candidate in (f"{text}\n", f"{WITNESSES}{text}\n"):
        try:
            policy = parse(candidate)
        except InvalidRequest:
            continue
        assert policy.text == candidate.encode()
        # Whatever the quorum, all witnesses together are one.
        policy.check([witness.name for witness in policy.witnesses])
