"""IP addresses and networks, read from text. Imports nothing of ours."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def address_of(text: str) -> Address | None:
    """An address, with or without a port; None for what is none. IPv4 in IPv6's clothes is IPv4."""
    for candidate in (text, text.strip("[]"), text.rpartition(":")[0].strip("[]")):
        try:
            address = ip_address(candidate.partition("%")[0])
        except ValueError:
            continue
        return getattr(address, "ipv4_mapped", None) or address
    return None


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, separated by commas. ValueError where one is neither."""
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
