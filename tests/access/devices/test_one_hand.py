"""Another person decides on a device: whoever made its owner up is no other person."""

from typing import Final

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import PermissionDenied
from tests.support.devices.device_estate import PASSWORD, DeviceEstate

MAKES: Final = """
path "auth/token/create-orphan" { capabilities = ["update", "sudo"] }
path "auth/token/create/ci" { capabilities = ["update"] }
path "auth/userpass/users/*" { capabilities = ["create", "update"] }
path "device/*" { capabilities = ["create", "read", "update", "sudo"] }
"""


@pytest.fixture
def e() -> DeviceEstate:
    """Return an estate with a role for tokens of aliases; eve and zoe are its administrators."""
    estate = DeviceEstate(PLUGINS)
    estate.write("sys/policies/acl/makes", {"policy": MAKES})
    role = {"allowed_entity_aliases": "*", "allowed_policies": "makes", "orphan": True}
    estate.write("auth/token/roles/ci", role)
    return estate


def made_by(e: DeviceEstate, token: str) -> dict[str, str]:
    """Return tokens that a token makes."""
    orphan = e.vault.write("auth/token/create-orphan", {}, token=token)
    alias = e.vault.write("auth/token/create/ci", {"entity_alias": "bot"}, token=token)
    child = e.vault.write("auth/token/create-orphan", {}, token=alias.token)
    made = {"itself": token}
    for name, reply in (("orphan", orphan), ("alias", alias), ("orphan of alias", child)):
        made[name] = reply.token
    return made


def test_nobody_decides_on_their_own_device_by_what_they_made(e: DeviceEstate) -> None:
    device = e.pending("eve")
    for name, token in made_by(e, e.login("eve")).items():
        data = {"reason": "works here", "until": "30d"}
        refused = e.refused(f"device/approve/{device.id}", data, token=token)
        assert refused.error is PermissionDenied, name


def test_nobody_decides_on_the_device_of_a_user_whom_they_made(e: DeviceEstate) -> None:
    eve = e.login("eve")
    user = {"password": PASSWORD, "token_policies": ["user"]}
    e.write("auth/userpass/users/rob", user, token=eve)
    e._people.add("rob")
    device = e.pending("rob")
    data = {"reason": "works here", "until": "30d"}
    for token in made_by(e, eve).values():
        assert e.refused(f"device/approve/{device.id}", data, token=token).error is PermissionDenied
    e.write(f"device/approve/{device.id}", data, token=e.login("zoe"))


def test_nobody_excepts_their_own_device_by_what_they_made(e: DeviceEstate) -> None:
    device = e.pending("eve")
    data = {"reason": "later", "ttl": "1h"}
    for token in made_by(e, e.login("eve")).values():
        refused = e.refused(
            f"device/posture/exceptions/{device.id}/disk-encryption", data, token=token
        )
        assert refused.errors == ["nobody can except their own device: ask another administrator"]
