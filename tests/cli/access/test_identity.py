"""`ironkeep identity report` against a server."""

from tests.support.commands import Run


def test_the_report_as_a_table_and_as_json(run: Run) -> None:
    run("auth", "enable", "-path=people", "userpass")
    assert run("write", "auth/people/users/zoe", "password=correct horse").code == 0
    done = run("identity", "report")
    assert done.code == 0
    line = next(each for each in done.out.splitlines() if "zoe" in each)
    assert line.split()[:5] == ["userpass", "zoe", "auth/people/", "0", "d"]
    assert "can log in with a secret that can be copied." in done.out
    data = run("identity", "report", "-format=json").json()
    assert any(each["name"] == "zoe" for each in data["identities"])
    assert data["complete"]
    assert run("identity", "report", "-field=complete").out == "true"
    run("auth", "disable", "people")
