"""A value that was read may be one by which somebody gets into the vault itself."""

import pytest

from ironkeep.core.operation import Operation
from ironkeep.incident.eviction.accepted import MAX_AN_HOUR
from ironkeep.testing.parts import tables, text
from tests.support.incident.incident_estate import PASSWORD, Estate, opened

MAIL = "secret/app/mail version 2"


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


def replaced(estate: Estate, value: str, **fields: str) -> str:
    """Return a case in which a value that was read has been replaced where it was read."""
    estate.must("secret/data/app/mail", {"data": {**fields, "value": value}})
    estate.get("secret/data/app/mail", estate.login("colleague"))
    case = estate.open_case("person:colleague", start="3s")
    estate.on(case, "contain")
    estate.on(case, "rotate", secret="secret/app/mail@2", method="reset", receipt="ticket 9")
    estate.must("secret/data/app/mail", {"data": {**fields, "value": "another one"}})
    return case


def found(estate: Estate, case: str) -> tuple[str, str]:
    (compared,) = tables(estate.on(case, "probe"), "compared")
    return text(compared, "state"), text(compared, "detail")


def token(estate: Estate, **data: str) -> tuple[str, str]:
    """Return an orphan token of nobody, and its accessor."""
    given = {"policies": "mail", "ttl": "1h", **data}
    made = estate.request(Operation.UPDATE, "auth/token/create-orphan", given).token
    if data.get("type") == "batch":
        return made, ""
    return made, text(estate.get("auth/token/lookup-self", made), "accessor")


def lives(estate: Estate, made: str) -> bool:
    return estate.request(Operation.READ, "secret/data/app/mail", token=made).error is None


@pytest.mark.parametrize("form", ["{}", "export VAULT_TOKEN={}\nexport A=1"])
def test_a_token_in_a_secret_is_exposed_with_it(estate: Estate, form: str) -> None:
    made, accessor = token(estate)
    case = replaced(estate, form.format(made))
    state, detail = found(estate, case)
    assert state == "current"
    assert detail == f"it is a token of this vault, and works: contain token:{accessor}"
    against = opened(estate.verdict(case))
    assert ("still current", MAIL) in against
    # What it read would be exposed, too.
    assert "not contained" in {check for check, _ in against}
    estate.on(case, "contain", principal=f"token:{accessor}")
    assert not lives(estate, made)
    assert found(estate, case) == ("replaced", "version 3 is current")
    left = {check for check, _ in opened(estate.verdict(case))}
    assert not {"still current", "not contained", "not surveyed"} & left


@pytest.mark.parametrize("data", [{"id": "one-custom-token-5d"}, {"type": "batch"}])
def test_a_token_of_any_form_is_known(estate: Estate, data: dict[str, str]) -> None:
    made, _ = token(estate, **data)
    case = replaced(estate, made)
    assert found(estate, case)[0] == "current"
    assert ("still current", MAIL) in opened(estate.verdict(case))


def test_a_wrapping_token_is_a_token(estate: Estate) -> None:
    reply = estate.vault.request(Operation.UPDATE, "sys/wrapping/wrap", {"a": "b"}, wrap=3_600)
    assert reply.body is not None
    case = replaced(estate, text(reply.body, "wrap_info", "token"))
    assert found(estate, case)[0] == "current"


def test_a_secret_id_is_open_until_it_is_destroyed(estate: Estate) -> None:
    estate.must("sys/auth/approle", {"type": "approle"})
    role = "auth/approle/role/machine"
    estate.must(role, {"token_policies": "mail", "secret_id_wrapping": "optional"})
    secret_id = text(estate.must(f"{role}/secret-id"), "secret_id")
    case = replaced(estate, secret_id)
    assert found(estate, case) == ("current", f"it is a secret id of {role}")
    assert ("still current", MAIL) in opened(estate.verdict(case))
    estate.must(f"{role}/secret-id/destroy", {"secret_id": secret_id})
    assert found(estate, case) == ("replaced", "version 3 is current")


def test_a_role_id_that_is_enough_alone_counts(estate: Estate) -> None:
    estate.must("sys/auth/approle", {"type": "approle"})
    role = "auth/approle/role/machine"
    estate.must(role, {"token_policies": "mail", "role_id": "the-role-id-77"})
    case = replaced(estate, "the-role-id-77")
    assert found(estate, case)[0] == "replaced"
    bare = {"bind_secret_id": False, "token_bound_cidrs": "192.0.2.0/24"}
    bare["secret_id_bound_cidrs"] = "192.0.2.0/24"
    estate.must(role, bare)
    assert found(estate, case) == ("current", f"it is the role id of {role}, which is enough")


@pytest.mark.parametrize(
    "fields",
    [
        {"username": "Auditor", "value": PASSWORD},
        {"value": f"auditor:{PASSWORD.replace(' ', '%20')}"},
        {"value": PASSWORD, "note": "sign in as auditor"},
    ],
)
def test_a_password_of_a_user_whom_the_secret_names(estate: Estate, fields: dict[str, str]) -> None:
    case = replaced(estate, **fields)
    words = "it is the password of the user auth/userpass/users/auditor"
    assert words in found(estate, case)[1]
    estate.must("auth/userpass/users/auditor/password", {"password": "a new one of theirs"})
    assert words not in found(estate, case)[1]


def test_a_secret_that_names_more_users_than_can_be_tried_is_open(estate: Estate) -> None:
    many = {f"f{number}": f"value-{number}" for number in range(15)}
    everybody = "engineer, colleague, responder, auditor"
    case = replaced(estate, "the password", note=everybody, **many)
    assert "more logins of this vault than can be tried" in found(estate, case)[1]


def test_a_probe_is_no_way_around_the_lock_on_a_name(estate: Estate) -> None:
    """Whoever may work on cases could store guesses, and have the vault try them."""
    words, told = "it is the password of the user auth/userpass/users/auditor", []
    later = "as many values were tried for a login that it names as may be in an hour"
    guesses = {f"f{number}": f"guess-{number}" for number in range(MAX_AN_HOUR)}
    case = replaced(estate, "one more guess", username="auditor", **guesses)
    told.append(found(estate, case)[1])
    estate.must("secret/data/app/mail", {"data": {"username": "auditor", "value": PASSWORD}})
    estate.on(case, "widen", subjects=["secret/app/mail@4"], basis="stored by us")
    told_of = {"secret": "secret/app/mail@4", "method": "reset", "receipt": "ticket 9"}
    estate.on(case, "rotate", **told_of)
    estate.must("secret/data/app/mail", {"data": {"value": "none"}})
    for _ in range(3):
        compared = tables(estate.on(case, "probe"), "compared")
        told += [text(each, "detail") for each in compared]
    assert all(later in each for each in told)
    assert not any(words in each for each in told)
    estate.vault.tick(3_600)
    (only,) = tables(estate.on(case, "probe", secret="secret/app/mail@4"), "compared")
    assert words in text(only, "detail")
