"""Allowances: how much of the service a key may use, counted in this process."""

import math
import time
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Network, ip_address

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from app.destinations import plain
from app.refusals import AllowanceSpent
from store.keys import Key

UNKNOWN_KEYS = RateLimitItemPerMinute(600)  # looked for in the database, for one address


@dataclass(frozen=True)
class Policy:
    """One thing that is counted, and how much of it a key may have in a window of time."""

    name: str
    limit: RateLimitItem


def requests(key: Key) -> Policy:
    """Return how many requests a key may make."""
    return Policy("requests", RateLimitItemPerMinute(key.requests_per_minute))


def images(key: Key) -> Policy:
    """Return how many images a key may have drawn."""
    return Policy("images", RateLimitItemPerDay(key.images_per_day))


class Allowances:
    """Counts what keys use. It belongs to the event loop, and waits for nothing outside of this process."""

    def __init__(self) -> None:
        """Have counted nothing yet."""
        self._windows = FixedWindowRateLimiter(MemoryStorage())

    async def spend(self, key: Key, policy: Policy, cost: int = 1) -> None:
        """Count something that a key uses; raise AllowanceSpent, and count nothing, where that would be too much."""
        if not await self._windows.test(policy.limit, key.id, cost=cost):
            remaining, seconds = await self._left(policy.limit, key.id)
            allowed = f"this key may use {policy.limit.amount:,} {policy.name} a {policy.limit.GRANULARITY.name}"
            detail = f"{allowed}; {remaining:,} are left, and {cost:,} asked for"
            raise AllowanceSpent(detail, timedelta(seconds=max(1, seconds)))
        await self._windows.hit(policy.limit, key.id, cost=cost)

    async def admit(self, address: str) -> None:
        """Count a key that was never seen to be good; raise AllowanceSpent where an address sends too many."""
        place = _network(address)
        if not await self._windows.hit(UNKNOWN_KEYS, place):
            _, seconds = await self._left(UNKNOWN_KEYS, place)
            detail = f"{UNKNOWN_KEYS.amount:,} unknown keys came from {place} within a minute; no more are looked for"
            raise AllowanceSpent(detail, timedelta(seconds=max(1, seconds)))

    async def headers(self, key: Key) -> dict[str, str]:
        """Return what a key may use and what is left of it, as draft-ietf-httpapi-ratelimit-headers has it."""
        policies = [requests(key), images(key)]
        left = [await self._left(policy.limit, key.id) for policy in policies]
        return {
            "RateLimit-Policy": ", ".join(
                f'"{policy.name}";q={policy.limit.amount};w={policy.limit.get_expiry()}' for policy in policies
            ),
            "RateLimit": ", ".join(
                f'"{policy.name}";r={remaining};t={seconds}'
                for policy, (remaining, seconds) in zip(policies, left, strict=True)
            ),
        }

    async def _left(self, limit: RateLimitItem, whose: str) -> tuple[int, int]:
        """Return how much is left, and the whole seconds until it is as much as can be again."""
        ends_at, remaining = await self._windows.get_window_stats(limit, whose)
        return remaining, max(0, math.ceil(ends_at - time.time()))


def _network(address: str) -> str:
    """Return what an address counts as: of IPv6 its 64-bit network, all of which is one customer's."""
    try:
        found = plain(ip_address(address))
    except ValueError:
        return address
    return str(found) if found.version == 4 else str(IPv6Network((found, 64), strict=False))
