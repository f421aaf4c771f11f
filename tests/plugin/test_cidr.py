"""Addresses and ranges, as callers and sockets write them."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest
from ironkeep.plugin.cidr import address_of, inside, parse_address, parse_cidrs, remote_of


@pytest.mark.parametrize(
    ("remote", "ranges", "is_inside"),
    [
        ("10.1.2.3", ("10.0.0.0/8",), True),
        ("10.1.2.3:443", ("10.0.0.0/8",), True),
        ("11.1.2.3", ("10.0.0.0/8",), False),
        ("10.1.2.3", ("10.1.2.3",), True),
        ("10.1.2.4", ("10.1.2.3", "10.1.2.4/32"), True),
        ("10.1.2.3", ("10.9.9.9/8",), True),
        ("fd00::1", ("fd00::/8",), True),
        ("[fd00::1]:443", ("fd00::/8",), True),
        ("fe80::1", ("fd00::/8",), False),
        ("::ffff:10.1.2.3", ("10.0.0.0/8",), True),
        ("[::ffff:10.1.2.3]:1", ("10.0.0.0/8",), True),
        ("10.1.2.3", ("::/0",), False),
        ("10.1.2.3:1", ("::ffff:10.0.0.0/104",), True),
        ("11.1.2.3:1", ("::ffff:10.0.0.0/104",), False),
        ("10.1.2.3:1", ("::ffff:10.1.2.3",), True),
        ("[fe80::1%eth0]:1", ("fe80::/10",), True),
        ("fe80::1%2", ("fe80::1",), True),
        ("", ("0.0.0.0/0", "::/0"), False),
        ("10.1.2.3, 127.0.0.1", ("127.0.0.1",), False),
        ("127.0.0.1\n", ("127.0.0.1",), False),
        ("localhost", ("127.0.0.1",), False),
        ("010.1.2.3", ("10.0.0.0/8",), False),
        ("unix:", ("0.0.0.0/0",), False),
    ],
)
def test_table(remote: str, ranges: tuple[str, ...], *, is_inside: bool) -> None:
    assert inside(remote, parse_cidrs(ranges)) is is_inside


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10.0.0/8", "x", "fd00::/129", "1.2.3.4:5"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_cidrs((text,))


@given(st.text(max_size=50))
def test_no_remote_crashes(remote: str) -> None:
    parse_address(remote)


@given(st.ip_addresses(), st.integers(0, 65_535))
def test_an_address_and_its_port_come_apart_again(
    address: IPv4Address | IPv6Address, port: int
) -> None:
    for host in (str(address), address.exploded):
        remote = remote_of((host, port))
        assert remote.rpartition(":")[2] == str(port)
        found = parse_address(remote)
        assert found == parse_address(str(address))
        assert address_of(remote) == str(found)


@given(st.ip_addresses(v=4), st.integers(0, 65_535))
def test_a_dual_stack_socket_shows_no_other_caller(address: IPv4Address, port: int) -> None:
    assert remote_of((f"::ffff:{address}", port)) == remote_of((str(address), port))
    assert parse_cidrs((f"::ffff:{address}/128",)) == parse_cidrs((str(address),))


def test_a_unix_socket_has_no_address() -> None:
    assert remote_of(None) == ""
