"""A Secret shows itself to nobody who does not ask for it by name."""

import copy
import json
import pickle
import traceback

import msgspec
import pytest

from ironkeep.core.secret import Secret
from ironkeep.plugin.response import SecretJson, Unkept

SECRET = Secret(b"hunter2")


@pytest.mark.parametrize("kind", [Secret, SecretJson, Unkept])
def test_no_way_of_printing_shows_it(kind: type[Secret]) -> None:
    secret = kind(b"hunter2")
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret!r:>40}", "%s" % secret):  # noqa: UP031
        assert "hunter2" not in shown
    assert "hunter2" not in repr([secret, {"x": secret}])
    shown = "".join(traceback.format_exception(ValueError(secret)))
    assert "hunter2" not in shown


def test_it_is_neither_compared_nor_hashed_nor_copied_out() -> None:
    with pytest.raises(TypeError):
        assert Secret(b"hunter2") == SECRET
    with pytest.raises(TypeError):
        {SECRET}  # noqa: B018
    with pytest.raises(TypeError):
        pickle.dumps(SECRET)
    with pytest.raises(TypeError):
        copy.deepcopy(SECRET)
    with pytest.raises(TypeError):
        json.dumps(SECRET)
    with pytest.raises(TypeError):
        msgspec.json.encode(SECRET)
    assert not hasattr(SECRET, "__dict__")


def test_reveal_and_equals() -> None:
    assert SECRET.reveal() == b"hunter2"
    assert SECRET.equals(b"hunter2")
    assert not SECRET.equals(b"hunter")
    assert not SECRET.equals(b"")
    assert len(SECRET) == 7
