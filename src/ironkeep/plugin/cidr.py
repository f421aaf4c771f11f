"""Addresses of callers, and the ranges that tokens are bound to (RFC 4632, RFC 4291, RFC 5952).

A caller is written `1.2.3.4:5` or `[2001:db8::1]:5`, everywhere: without the brackets nobody could
tell an address from its port. An IPv4 address mapped into IPv6 (`::ffff:1.2.3.4`), which is what a
dual-stack socket shows, is the IPv4 address; a range of such addresses is the IPv4 range.
"""

import ipaddress
from typing import Final

from ironkeep.core.errors import InvalidRequest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SITE_BITS: Final = 64
"""Of an IPv6 address: one site has at least so many (RFC 6177), and changes the rest at will."""


_MAPPED_BITS: Final = 96
"""The length of ::ffff:0:0/96, where the mapped addresses are (RFC 4291, 2.5.5.2)."""


def remote_of(client: tuple[str, int] | None) -> str:
    """Return how a caller is written, from a socket's peer name; "" for a unix socket's."""
    if client is None:
        return ""
    host, port = client
    address = parse_address(host)
    if address is None:
        return f"{host}:{port}"
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"  # noqa: PLR2004


def address_of(remote: str) -> str:
    """Return the address of a caller as text, without its port."""
    address = parse_address(remote)
    return str(address) if address is not None else remote


def parse_cidrs(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Return address ranges, IPv4 or IPv6; a bare address is a range of one.

    Raise InvalidRequest for text that is none.
    """
    try:
        return tuple(_unmapped(ipaddress.ip_network(text, strict=False)) for text in texts)
    except ValueError:
        raise InvalidRequest("an address range is written like 10.0.0.0/8 or fd00::/8") from None


def _unmapped(network: Network) -> Network:
    """Return the IPv4 range that a range of mapped addresses stands for, else network."""
    if isinstance(network, ipaddress.IPv4Network) or network.prefixlen < _MAPPED_BITS:
        return network
    mapped = network.network_address.ipv4_mapped
    if mapped is None:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


def inside(remote: str, networks: tuple[Network, ...]) -> bool:
    """Return whether the address in remote is in one of networks; no address is in none."""
    address = parse_address(remote)
    return address is not None and any(address in network for network in networks)


def narrowed(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ranges that lie in both lists; an empty list is every address.

    Raise InvalidRequest when they have no address in common: a token bound so is of no use. Two
    ranges are apart, or one lies in the other, so one walk over both lists in order finds all.
    """
    if not some or not others:
        return some or others
    found: list[Network] = []
    for version in (4, 6):
        ours, theirs = (_collapsed(each, version) for each in (some, others))
        while ours and theirs:
            narrow, wide = sorted((ours[-1], theirs[-1]), key=_size)
            if _holds(wide, narrow):
                found.append(narrow)
            # Both lists are worked off from their ends: what begins later is done with.
            (ours if _first(ours[-1]) >= _first(theirs[-1]) else theirs).pop()
    if not found:
        raise InvalidRequest("the addresses asked for lie outside those of your own token")
    return tuple(str(each) for each in sorted(found, key=lambda each: (each.version, _first(each))))


def covered(narrow: tuple[str, ...], wide: tuple[str, ...]) -> bool:
    """Return whether each address in some ranges is in others; no ranges are every address."""
    if not wide or not narrow:
        return not wide
    outer = [range_ for version in (4, 6) for range_ in _collapsed(wide, version)]
    return all(
        any(
            _size(each) <= _size(one) and _holds(one, each)
            for one in outer
            if each.version == one.version
        )
        for each in parse_cidrs(narrow)
    )


def _collapsed(texts: tuple[str, ...], version: int) -> list[Network]:
    """Return the ranges of one IP version in order of address, none within another."""
    of_it = [each for each in parse_cidrs(texts) if each.version == version]
    return list(ipaddress.collapse_addresses(of_it))  # type: ignore[type-var]


def _holds(wide: Network, narrow: Network) -> bool:
    return _first(wide) <= _first(narrow) < _first(wide) + _size(wide)


def _first(network: Network) -> int:
    return int(network.network_address)


def _size(network: Network) -> int:
    return int(network.num_addresses)


def parse_address(remote: str) -> Address | None:
    """Return the address in "1.2.3.4", "1.2.3.4:5", "::1" or "[::1]:5"; None when there is none.

    The zone of a link-local address (RFC 4007) names an interface of ours, and is left out.
    """
    if remote.startswith("["):
        remote = remote[1:].partition("]")[0]
    elif remote.count(":") == 1:
        remote = remote.partition(":")[0]
    try:
        address = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def network_of(remote: str) -> str:
    """Return what counts as one place that remote comes from: an IPv4 address, an IPv6 /64."""
    address = parse_address(remote)
    if address is None:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), SITE_BITS), strict=False))
    return str(address)
