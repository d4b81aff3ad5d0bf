"""Where a webhook may go: to the world over https, or to this very machine; never into the network between."""

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx


class DestinationRefused(Exception):
    """The webhook's address is one that this service does not call; the message says which and why."""


@dataclass(frozen=True)
class Destination:
    """An address that was looked up and found harmless, to be called as such: looked up again, it may be another."""

    url: httpx.URL  # with the address in place of the name
    host: str  # as the `Host` header has it
    name: str  # as the certificate must have it


async def resolve(url: str, loopback: bool) -> list[Destination]:
    """Look up where a webhook leads, every address of it; `loopback` says whether this machine may be called.

    Raises DestinationRefused, and OSError where there is no such name.
    """
    asked = httpx.URL(url)
    port = asked.port or (443 if asked.scheme == "https" else 80)
    found = await asyncio.get_running_loop().getaddrinfo(asked.host, port, type=socket.SOCK_STREAM)
    addresses = [ip_address(place[4][0]) for place in found]
    here = all(plain(address).is_loopback for address in addresses)
    if here and not loopback:
        raise DestinationRefused(
            f"{asked.host} is this machine, which listens to others: it calls no webhooks on itself"
        )
    if not here:
        if asked.scheme != "https":
            raise DestinationRefused(f"{asked.host} is not this machine: only https leaves it")
        for address in map(plain, addresses):
            if not address.is_global or address.is_multicast:
                raise DestinationRefused(f"{asked.host} is {address}, an address of a private or reserved network")
    host = asked.netloc.decode("ascii")
    return [Destination(asked.copy_with(host=str(address)), host, asked.host) for address in dict.fromkeys(addresses)]


@lru_cache(maxsize=64)  # asked of every request, mostly about the same few
def is_loopback(host: str) -> bool:
    """Tell whether an address is of this machine alone."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Look through an IPv6 address that stands for one of IPv4."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
