"""One gzip member made of pieces that were compressed at different times.

A piece ends at a byte boundary and refers to nothing before it, so pieces can be kept and put together in any
combination. One member, because some clients read only the first of several.
"""

from __future__ import annotations

import struct
import zlib

HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
"""No name, no time, fastest compression, unknown system."""

_LEVEL = 1  # text this repetitive shrinks to a twentieth even so, three times as fast as at the usual level
_RAW = -15


def piece(data: bytes) -> bytes:
    """Compress what others follow."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    return compressor.compress(data) + compressor.flush(zlib.Z_FULL_FLUSH)


def inflated(pieces: bytes) -> bytes:
    """What joined pieces were made of."""
    return zlib.decompressobj(_RAW).decompress(pieces)


def last_piece(data: bytes) -> bytes:
    """Compress what nothing follows."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    return compressor.compress(data) + compressor.flush(zlib.Z_FINISH)


def trailer(crc: int, size: int) -> bytes:
    """The end of the member; `crc` and `size` (bytes) are those of all that was compressed."""
    return struct.pack("<LL", crc, size & 0xFFFFFFFF)
