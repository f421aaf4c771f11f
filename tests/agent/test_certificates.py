"""When a certificate is renewed, and what becomes of the connections under the old one."""

import asyncio
import ssl
from pathlib import Path

import pytest

from ironkeep.agent.certificates import Credential
from ironkeep.agent.upstream import Upstream
from ironkeep.agent.vault import Vault
from ironkeep.core.errors import Unavailable
from ironkeep.testing.tls import make_tls

ADDRESS = "https://127.0.0.1:1"


def credential(obtained_ns: int, until_ns: int) -> Credential:
    return Credential(ssl.create_default_context(), obtained_ns, until_ns)


def test_it_is_renewed_at_two_thirds_of_its_life() -> None:
    assert credential(1_000, 1_900).renew_ns == 1_600


def test_a_request_keeps_its_connection_over_a_renewal() -> None:
    async def story() -> None:
        upstream = Upstream(ADDRESS)
        await upstream.adopt(credential(0, 100))
        async with upstream.client(50) as before:
            await upstream.adopt(credential(60, 160))
            async with upstream.client(61) as after:
                seen = [after is before, before.is_closed]
        seen += [before.is_closed, after.is_closed]
        await upstream.close()
        assert [*seen, after.is_closed] == [False, False, True, False, True]

    asyncio.run(story())


@pytest.mark.parametrize("now_ns", [100, 101, 10**18])
def test_nothing_is_forwarded_under_a_certificate_that_has_ended(now_ns: int) -> None:
    async def story() -> None:
        upstream = Upstream(ADDRESS)
        await upstream.adopt(credential(0, 100))
        upstream.problem = "the disk is not encrypted"
        with pytest.raises(Unavailable, match="the disk is not encrypted"):
            async with upstream.client(now_ns):
                pass
        await upstream.close()

    asyncio.run(story())


def test_nothing_is_forwarded_before_the_first_certificate() -> None:
    async def story() -> None:
        with pytest.raises(Unavailable, match="no certificate yet"):
            async with Upstream(ADDRESS).client(0):
                pass

    asyncio.run(story())


def test_no_session_keys_are_written_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_tls(tmp_path)
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    for ca_cert in ("", str(made.ca)):
        context = Vault("https://127.0.0.1:1", ca_cert).context()
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert not (tmp_path / "keys").exists()
