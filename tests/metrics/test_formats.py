"""Which format and encoding a client gets."""

import gzip
import zlib

import httpx
import pytest

from exporter.metrics import gzipping
from exporter.metrics.formats import Format, negotiated, takes_gzip

TEXT, OPENMETRICS = Format.TEXT, Format.OPENMETRICS
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;"
    "version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_TEXT_FIRST = "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"

ACCEPT = [
    ("", TEXT, "nothing said"),
    ("*/*", TEXT, "anything"),
    (BROWSER, TEXT, "a browser shows text"),
    (PROMETHEUS_2, OPENMETRICS, "Prometheus 2"),
    (PROMETHEUS_3, OPENMETRICS, "Prometheus 3"),
    (PROMETHEUS_TEXT_FIRST, TEXT, "q decides"),
    ("application/openmetrics-text", OPENMETRICS, "any version"),
    ("application/openmetrics-text; version=1.0.0", OPENMETRICS, "with a space"),
    ('application/openmetrics-text;version="1.0.0"', OPENMETRICS, "quoted"),
    ("Application/OpenMetrics-Text", OPENMETRICS, "case does not count"),
    ("application/openmetrics-text;version=2.0.0", TEXT, "a version that we do not speak"),
    ("application/openmetrics-text;version=0.0.1", TEXT, "nor this one"),
    ("application/openmetrics-text;q=0", TEXT, "refused"),
    ("application/openmetrics-text;q=0,*/*", TEXT, "refused, whatever else is fine"),
    ("application/openmetrics-text;q=0.5,text/plain;q=0.4", OPENMETRICS, "q decides"),
    ("application/openmetrics-text;q=0.4,text/plain;q=0.5", TEXT, "q decides, not the order"),
    ("application/openmetrics-text,text/plain", OPENMETRICS, "the first of equals"),
    ("text/plain,application/openmetrics-text;version=1.0.0", TEXT, "the first of equals, however precise the other"),
    ("application/openmetrics-text,*/*", OPENMETRICS, "named beats not named"),
    ("text/plain;q=0,*/*", OPENMETRICS, "anything but text"),
    ("application/*", OPENMETRICS, "only one of ours fits"),
    ("text/*,application/*", TEXT, "the first of equals"),
    ("application/openmetrics-text;q=0.2,application/openmetrics-text;version=1.0.0,text/plain;q=0.5", OPENMETRICS,
     "the more specific range speaks"),
    ("application/json", TEXT, "neither: a scrape is better served than refused"),
    ("text/plain;version=1.0.0;q=0.9,application/openmetrics-text;q=0.1", OPENMETRICS, "text 1.0.0 is not ours"),
    ("application/openmetrics-text;q=nonsense", TEXT, "a weight nobody can read"),
    ("application/openmetrics-text;q=7", TEXT, "a weight out of range"),
    (",;,=;/,q=1", TEXT, "garbage"),
]  # fmt: skip


@pytest.mark.parametrize(("accept", "expected", "reason"), ACCEPT)
def test_the_accept_header_chooses_the_format(accept, expected, reason):
    assert negotiated(accept) is expected, reason


ACCEPT_ENCODING = [
    ("", False, "nothing said"),
    ("gzip", True, "Prometheus"),
    ("GZIP", True, "case does not count"),
    ("x-gzip", True, "its old name"),
    ("gzip, deflate, br, zstd", True, "a browser"),
    ("deflate, br", False, "others only"),
    ("gzip;q=0", False, "refused"),
    ("gzip;q=0.0, *", False, "refused, whatever else is fine"),
    ("gzip; q=0.001", True, "a little is enough"),
    ("*", True, "anything"),
    ("*;q=0", False, "nothing"),
    ("identity", False, "plain"),
    ("identity;q=1, gzip;q=0.5", False, "rather plain"),
    ("identity;q=0.5, gzip", True, "rather not plain"),
    ("identity;q=0", False, "unheard of, and nothing else is named"),
    ("gzip;q=x", False, "a weight nobody can read"),
    ("notgzip", False, "another word"),
]


@pytest.mark.parametrize(("accept_encoding", "expected", "reason"), ACCEPT_ENCODING)
def test_the_accept_encoding_header_chooses_gzip(accept_encoding, expected, reason):
    assert takes_gzip(accept_encoding) is expected, reason


def member(*parts):
    crc = 0
    for part in parts:
        crc = zlib.crc32(part, crc)
    pieces = [*map(gzipping.piece, parts[:-1]), gzipping.last_piece(parts[-1])]
    return gzipping.HEADER + b"".join(pieces) + gzipping.trailer(crc, sum(map(len, parts)))


PARTS = [
    ([b"all of it\n"], "one piece"),
    ([b"a\n" * 70_000, b"b\n" * 70_000, b"end\n"], "pieces longer than the window"),
    ([b"same\n" * 9, b"same\n" * 9, b"same\n" * 9], "pieces that repeat each other"),
    ([b"a", b"", b"", b""], "empty pieces"),
]


@pytest.mark.parametrize(("parts", "reason"), PARTS)
def test_pieces_make_one_gzip_member_that_any_reader_takes(parts, reason):
    zipped = member(*parts)
    reader = zlib.decompressobj(wbits=31)
    assert reader.decompress(zipped) == b"".join(parts), reason
    assert reader.eof
    assert reader.unused_data == b"", "a second member, which some clients do not read"
    assert gzip.decompress(zipped) == b"".join(parts)
    assert httpx.Response(200, headers={"content-encoding": "gzip"}, content=zipped).content == b"".join(parts)


def test_a_piece_can_be_left_out():
    one, two, three = b"one\n" * 50, b"two one\n" * 50, b"three two one\n" * 50
    assert gzip.decompress(member(one, two, three)) == one + two + three
    assert gzip.decompress(member(one, three)) == one + three
