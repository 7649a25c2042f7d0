"""Whether a password is right: bcrypt once, in a thread of its own, then from memory.

bcrypt costs a tenth of a second on purpose, and a scrape must not pay it every time. Must not keep a password, nor
tell by the time it takes whether there is such a user.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import secrets
from collections import OrderedDict
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

import bcrypt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_REMEMBERED = 100
_BCRYPT_READS = 72  # bytes of a password; whatever made the hash has left the rest out


class Credentials(NamedTuple):
    """What stands in an Authorization header."""

    user: bytes
    password: bytes


class Passwords:
    """Checks credentials against bcrypt hashes, given as user -> hash, and remembers those that were right."""

    def __init__(self, check: Callable[[bytes, bytes], bool] = bcrypt.checkpw) -> None:
        """`check` says whether a password belongs to a hash."""
        self._check = check
        self._secret = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, tuple[bytes, bytes]] = OrderedDict()  # keyed digest -> user, hash
        self._one_at_a_time = asyncio.Lock()

    def remembers(self, authorization: bytes, users: Mapping[bytes, bytes]) -> bool:
        """Whether this header was right, and the user's hash is still the same."""
        found = self._right.get(self._digest(authorization))
        return found is not None and users.get(found[0]) == found[1]

    async def are_right(self, authorization: bytes, users: Mapping[bytes, bytes]) -> bool:
        """Whether this header names a user and the right password. A user we do not know takes as long."""
        given = credentials_in(authorization)
        if given is None:
            return False
        digest = self._digest(authorization)
        hashed = users.get(given.user)
        decoy = sorted(users.values())[int.from_bytes(self._digest(given.user)) % len(users)]  # always the same one
        async with self._one_at_a_time:
            if self.remembers(authorization, users):  # checked while we waited
                return True
            matches = await _in_a_thread(self._check, given.password[:_BCRYPT_READS], hashed or decoy)
        if not matches or hashed is None:
            return False
        self._right[digest] = (given.user, hashed)
        while len(self._right) > _REMEMBERED:
            self._right.popitem(last=False)
        return True

    def _digest(self, text: bytes) -> bytes:
        return hashlib.blake2b(text, key=self._secret, digest_size=32).digest()


def credentials_in(authorization: bytes) -> Credentials | None:
    """Take a header's value apart; None when it is not one of basic authentication."""
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except binascii.Error:
        return None
    return Credentials(user, password) if colon else None


async def _in_a_thread(check: Callable[[bytes, bytes], bool], password: bytes, hashed: bytes) -> bool:
    """Check in a thread that nobody waits for at the end: a dear hash takes minutes."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    def settle(matches: bool) -> None:
        if not answer.done():
            answer.set_result(matches)

    def work() -> None:
        try:
            matches = check(password, hashed)
        except ValueError:  # a password that bcrypt does not take
            matches = False
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, matches)

    Thread(target=work, name="password", daemon=True).start()
    return await answer
