"""Addresses of callers, and the ranges that tokens are bound to (RFC 4632, RFC 4291, RFC 5952).

A caller is written `1.2.3.4:5` or `[2001:db8::1]:5` everywhere: without the brackets an IPv6
address could not be told from its port. An IPv4 address mapped into IPv6 (`::ffff:1.2.3.4`), as
dual-stack sockets report it, is treated as the IPv4 address, and a range of mapped addresses as the
IPv4 range.
"""

import ipaddress
from typing import Final

from ironkeep.core.errors import InvalidRequest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SITE_BITS: Final = 64
"""Prefix length of one IPv6 site: a site gets at least a /64 (RFC 6177) and varies the rest freely.
"""


_MAPPED_BITS: Final = 96
"""The length of ::ffff:0:0/96, the prefix of mapped addresses (RFC 4291, 2.5.5.2)."""


def remote_of(client: tuple[str, int] | None) -> str:
    """Return the text form of a caller, from a socket's peer name; "" for a Unix socket."""
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

    Raise InvalidRequest for text that is not an address range.
    """
    try:
        return tuple(_unmapped(ipaddress.ip_network(text, strict=False)) for text in texts)
    except ValueError:
        raise InvalidRequest("an address range is written like 10.0.0.0/8 or fd00::/8") from None


def _unmapped(network: Network) -> Network:
    """Return the IPv4 range for a range of mapped addresses, any other network unchanged."""
    if isinstance(network, ipaddress.IPv4Network) or network.prefixlen < _MAPPED_BITS:
        return network
    mapped = network.network_address.ipv4_mapped
    if mapped is None:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


def inside(remote: str, networks: tuple[Network, ...]) -> bool:
    """Return whether the address in remote is in one of networks; False without an address."""
    address = parse_address(remote)
    return address is not None and any(address in network for network in networks)


def admits(cidrs: tuple[str, ...], remote: str) -> bool:
    """Return whether address ranges contain the address in remote; no ranges admit every one."""
    return not cidrs or inside(remote, parse_cidrs(cidrs))


def narrowed(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """Return the intersection of two lists of ranges; an empty list means every address.

    Raise InvalidRequest when they have no address in common: a token bound to that would be
    useless. Two ranges are either disjoint or nested, so one walk over both sorted lists finds the
    whole intersection.
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
            # Both lists are consumed from their ends: the range that begins later is finished.
            (ours if _first(ours[-1]) >= _first(theirs[-1]) else theirs).pop()
    if not found:
        raise InvalidRequest("the requested addresses are outside those of your own token")
    return tuple(str(each) for each in sorted(found, key=lambda each: (each.version, _first(each))))


def covered(narrow: tuple[str, ...], wide: tuple[str, ...]) -> bool:
    """Return whether narrow is a subset of wide; an empty list means every address."""
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
    """Return the ranges of one IP version in order of address, without overlaps."""
    of_it = [each for each in parse_cidrs(texts) if each.version == version]
    return list(ipaddress.collapse_addresses(of_it))  # type: ignore[type-var]


def _holds(wide: Network, narrow: Network) -> bool:
    return _first(wide) <= _first(narrow) < _first(wide) + _size(wide)


def _first(network: Network) -> int:
    return int(network.network_address)


def _size(network: Network) -> int:
    return int(network.num_addresses)


def parse_address(remote: str) -> Address | None:
    """Return the address in "1.2.3.4", "1.2.3.4:5", "::1" or "[::1]:5"; None if there is none.

    The zone of a link-local address (RFC 4007) names an interface of this host and is dropped.
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
    """Return the network that counts as one caller: an IPv4 address, or an IPv6 /64; else ""."""
    address = parse_address(remote)
    if address is None:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), SITE_BITS), strict=False))
    return str(address)
