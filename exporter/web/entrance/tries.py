"""How often who may try: buckets of tries that fill up again with time.

The clock is an argument. Must not know what is tried.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass


class Bucket:
    """Holds `size` tries at first and at most, and gets a new one `every` so many seconds."""

    def __init__(self, *, size: int, every: float, now: float) -> None:
        self._size = size
        self._every = every
        self._left = float(size)
        self._looked_at = now

    def take(self, now: float) -> float:
        """Take one try: 0.0, or the seconds to wait for one."""
        self._left = min(self._size, self._left + (now - self._looked_at) / self._every)
        self._looked_at = now
        if self._left < 1:
            return (1 - self._left) * self._every
        self._left -= 1
        return 0.0

    def give_back(self) -> None:
        """Return a try: it has not been one."""
        self._left = min(self._size, self._left + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How many wrong passwords we look at."""

    tries: int = 5  # from one address
    every: float = 6.0  # seconds until an address gets another try
    addresses: int = 1_000  # remembered; the one not seen for longest is forgotten first
    waiting: int = 32  # tries at once, of all addresses, until one ends


class Tries:
    """The tries of all addresses."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._waiting = 0

    def begin(self, address: str, now: float) -> float:
        """Begin a try: 0.0, or the seconds to wait. What has begun must `end`."""
        if self._waiting >= self._allowance.waiting:
            return 1.0
        wait = self._bucket(neighbourhood(address), now).take(now)
        if not wait:
            self._waiting += 1
        return wait

    def end(self, address: str, now: float, *, good: bool) -> None:
        """End a try; a good one does not count."""
        self._waiting -= 1
        if good:
            self._bucket(neighbourhood(address), now).give_back()

    def _bucket(self, address: str, now: float) -> Bucket:
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = Bucket(size=self._allowance.tries, every=self._allowance.every, now=now)
            self._buckets[address] = bucket
            if len(self._buckets) > self._allowance.addresses:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(address)
        return bucket


def neighbourhood(address: str) -> str:
    """An address, or the network of an IPv6 address: a host has all of that to choose from."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
