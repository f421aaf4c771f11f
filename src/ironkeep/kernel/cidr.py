"""Address ranges that tokens are bound to (RFC 4632, RFC 4291)."""

import ipaddress

from ironkeep.core.errors import InvalidRequest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_cidrs(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Return address ranges, IPv4 or IPv6; a bare address is a range of one.

    Raise InvalidRequest for text that is none.
    """
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError:
        raise InvalidRequest("an address range is written like 10.0.0.0/8 or fd00::/8") from None


def inside(remote: str, networks: tuple[Network, ...]) -> bool:
    """Return whether the address in remote is in one of networks; no address is in none."""
    address = parse_address(remote)
    return address is not None and any(address in network for network in networks)


def parse_address(remote: str) -> Address | None:
    """Return the address in "1.2.3.4", "1.2.3.4:5", "::1" or "[::1]:5"; None when there is none.

    An IPv4 address mapped into IPv6 is the IPv4 address: a dual-stack socket shows it so.
    """
    if remote.startswith("["):
        remote = remote[1:].partition("]")[0]
    elif remote.count(":") == 1:
        remote = remote.partition(":")[0]
    try:
        address = ipaddress.ip_address(remote)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
