"""From what the web config asks of TLS to an `ssl.SSLContext`, with the names and meanings of Go, whose format it is.

Must not read files, nor quote what is in a key.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.config.errors import BadValueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
"""What `min_version` and `max_version` can be."""

OLD_VERSIONS = ("TLS10", "TLS11")
"""What they can be for Go, and not here."""

CIPHER_SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
}
"""Suites of TLS 1.2: Go's names, OpenSSL's names. Those that Go calls insecure are in neither."""

CIPHER_SUITES_OF_TLS13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""All of them are always on."""

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_PRIVATE_KEY = re.compile(rb"-----BEGIN ((?:[A-Z]+ )*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_NOT_A_PAIR = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")


class BadCiphersError(BadValueError):
    """Suites that this machine does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """What the web config asks for; certificates and key are PEM."""

    certificates: bytes  # ours, then those that lead to its issuer
    key: bytes = field(repr=False)
    client_ca: bytes = b""  # who clients' certificates must come from; b"": none is asked for
    allowed_sans: frozenset[str] = frozenset()  # names of which a client's certificate must have one; empty: any
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: tuple[str, ...] = ()  # OpenSSL's names, for TLS 1.2; empty: OpenSSL's good ones
    prefers_own_order: bool = True


@dataclass(frozen=True, slots=True)
class Tls:
    """What a handshake needs. Nothing about it changes: new settings make a new one."""

    context: ssl.SSLContext
    allowed_sans: frozenset[str]

    @property
    def knows_clients(self) -> bool:
        """Whether only those come in who have a certificate that we trust."""
        return self.context.verify_mode is ssl.CERT_REQUIRED

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a client's verified certificate has one of the names that it must have."""
        if not self.allowed_sans:
            return True
        names = (certificate or {}).get("subjectAltName", ())
        return any(_as_go_writes_it(kind, name) in self.allowed_sans for kind, name in names)


def certificates_in(pem: bytes) -> bytes:
    """Take the certificates out of a PEM text. Raises `BadValueError`."""
    found = _CERTIFICATE.findall(pem)
    if not found:
        raise BadValueError("holds no PEM certificate", "it begins with -----BEGIN CERTIFICATE-----")
    certificates = b"\n".join(found)
    try:
        _context().load_verify_locations(cadata=certificates.decode("latin-1"))
    except (ssl.SSLError, ValueError):
        raise BadValueError("holds a damaged certificate") from None
    return certificates


def key_in(pem: bytes) -> bytes:
    """Take the private key out of a PEM text. Raises `BadValueError`."""
    found = _PRIVATE_KEY.search(pem)
    if not found:
        raise BadValueError("holds no PEM private key", "it begins with -----BEGIN PRIVATE KEY-----")
    if b"ENCRYPTED" in found[0]:
        raise BadValueError("is encrypted, and nobody is there to type its password", "decrypt it with openssl pkey")
    return found[0]


def tls_of(settings: TlsSettings) -> Tls:
    """Make what handshakes need. Raises `BadCiphersError`, or `BadValueError` about certificate and key."""
    context = _context()
    context.minimum_version, context.maximum_version = settings.minimum, settings.maximum
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    if not settings.prefers_own_order:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if settings.ciphers:
        _set_ciphers(context, settings.ciphers)
    _load_pair(context, settings)
    if settings.client_ca:
        context.load_verify_locations(cadata=settings.client_ca.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as in Go, an issuer need not be a root to be trusted
    return Tls(context, settings.allowed_sans)


def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def _set_ciphers(context: ssl.SSLContext, ciphers: tuple[str, ...]) -> None:
    try:
        context.set_ciphers(":".join(ciphers))
    except ssl.SSLError:
        offered: set[str] = set()
    else:
        offered = {cipher["name"] for cipher in context.get_ciphers()}
    if missing := [go for go, ours in CIPHER_SUITES.items() if ours in ciphers and ours not in offered]:
        raise BadCiphersError(f"this machine's OpenSSL does not offer {', '.join(missing)}")


def _load_pair(context: ssl.SSLContext, settings: TlsSettings) -> None:
    with _path_of(settings.key + b"\n" + settings.certificates) as path:
        try:
            context.load_cert_chain(path, password="")
        except ssl.SSLError as error:
            if error.reason in _NOT_A_PAIR:
                raise BadValueError("does not belong to the certificate", "give both from one issue") from None
            reason = (error.reason or "it is damaged").lower().replace("_", " ")
            raise BadValueError(f"OpenSSL refuses certificate and key: {reason}") from None


@contextmanager
def _path_of(secret: bytes) -> Iterator[str]:
    """A path for those who only read files; no such file is on any disk, and it is gone afterwards."""
    descriptor = os.memfd_create("key")
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        yield f"/proc/self/fd/{descriptor}"


def _as_go_writes_it(kind: str, name: object) -> str | None:
    """A name of a certificate as `client_allowed_sans` has it; None for kinds that Go does not look at."""
    match kind:
        case "DNS" | "email" | "URI":
            return str(name)
        case "IP Address":
            return str(ipaddress.ip_address(str(name).strip()))
    return None
