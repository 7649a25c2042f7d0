"""The web config's `tls_server_config`: what it says, checked, and the files that it names.

Must not make more of an option than we can keep: what is between asking for no client certificate and requiring a
verified one, which curves, which suites of TLS 1.3, and TLS before 1.2 are errors here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.config.errors import BadValueError, quoted, suggestion
from exporter.web.entrance.tls import (
    CIPHER_SUITES,
    CIPHER_SUITES_OF_TLS13,
    OLD_VERSIONS,
    VERSIONS,
    BadCiphersError,
    Tls,
    TlsSettings,
    certificates_in,
    key_in,
    tls_of,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from exporter.web.entrance.files import Files
    from exporter.web.entrance.yaml_tree import Branch

TLS_KEYS = (
    "cert",
    "key",
    "client_ca",
    "cert_file",
    "key_file",
    "client_ca_file",
    "client_auth_type",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
)
"""All that the format knows."""

_VERIFIED = "RequireAndVerifyClientCert"
_NONE = "NoClientCert"
_IN_BETWEEN = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert", "VerifyClientCertIfGiven")


def read_tls(branch: Branch, *, folder: Path, files: Files) -> Tls | None:
    """What handshakes need; None where TLS is not asked for, or cannot be had."""
    if not any(branch.given(key) for key in branch):
        return None
    certificates = _pem(branch, "cert", certificates_in, folder=folder, files=files)
    key = _pem(branch, "key", key_in, folder=folder, files=files)
    client_ca = _client_ca(branch, folder=folder, files=files)
    minimum, maximum = _version(branch, "min_version", "TLS12"), _version(branch, "max_version", "TLS13")
    if minimum > maximum:
        branch.problem("max_version", "is lower than min_version", "swap the two, or leave one out")
    ciphers = _ciphers(branch)
    prefers_own_order = branch.flag("prefer_server_cipher_suites", default=True)
    if branch.given("curve_preferences"):
        what = "is not supported: Python's TLS cannot choose among curves"
        branch.problem("curve_preferences", what, "leave it out, OpenSSL's own choice is a good one")
    if not certificates or not key:
        return None
    settings = TlsSettings(
        certificates=certificates,
        key=key,
        client_ca=client_ca,
        allowed_sans=_allowed_sans(branch),
        minimum=minimum,
        maximum=maximum,
        ciphers=ciphers,
        prefers_own_order=prefers_own_order,
    )
    try:
        return tls_of(settings)
    except BadCiphersError as error:
        branch.problem("cipher_suites", error.what, error.hint)
    except BadValueError as error:
        branch.problem("key" if branch.given("key") else "key_file", error.what, error.hint)
    return None


def _pem(branch: Branch, key: str, take: Callable[[bytes], bytes], *, folder: Path, files: Files) -> bytes:
    """What `key` or `<key>_file` holds; b"" when that is wrong, or neither is given."""
    file_key = f"{key}_file"
    given = [one for one in (key, file_key) if branch.given(one)]
    if len(given) == 2:
        branch.problem(file_key, f"{key} is given as well", "keep one of the two")
    elif not given:
        branch.problem(file_key, "is missing", f"name a PEM file, or give {key} itself")
    elif text := branch.text(given[0]):
        try:
            return take(text.encode() if given == [key] else files.read(folder / _path(text)))
        except BadValueError as error:
            branch.problem(given[0], error.what, error.hint)
    return b""


def _path(text: str) -> str:
    if "-----BEGIN" in text:  # must not be shown: a key may follow
        raise BadValueError("is no path but a PEM text", "drop the _file from the key's name")
    return text


def _client_ca(branch: Branch, *, folder: Path, files: Files) -> bytes:
    """Who clients' certificates must come from; b"" where none is asked for."""
    given = branch.given("client_ca") or branch.given("client_ca_file")
    client_ca = _pem(branch, "client_ca", certificates_in, folder=folder, files=files) if given else b""
    mode = branch.text("client_auth_type") or _NONE
    if mode in _IN_BETWEEN:
        what = f"{mode} is not supported: Python's TLS asks for no client certificate, or requires and verifies one"
        branch.problem("client_auth_type", what, f"write {_VERIFIED} and client_ca_file, or {_NONE}")
    elif mode not in (_VERIFIED, _NONE):
        branch.problem("client_auth_type", f"{quoted(mode)} is unknown", suggestion(mode, (_VERIFIED, _NONE)))
    elif mode == _VERIFIED and not given:
        what = "is missing: the certificates of every public authority would be let in"
        branch.problem("client_ca_file", what, "name the PEM file of your clients' authority")
    elif mode == _NONE and given:
        what = "is missing beside client_ca_file: without it no client is asked for a certificate"
        branch.problem("client_auth_type", what, f"write {_VERIFIED}")
    elif mode == _NONE and branch.given("client_allowed_sans"):
        what = "has no effect, because no client is asked for a certificate"
        branch.problem("client_allowed_sans", what, f"write client_auth_type: {_VERIFIED} and client_ca_file")
    return client_ca if mode == _VERIFIED else b""


def _allowed_sans(branch: Branch) -> frozenset[str]:
    names = branch.texts("client_allowed_sans")
    if names is not None and not any(names):
        branch.problem(
            "client_allowed_sans", "is empty, so that every client would be refused", "name one, or leave it out"
        )
    return frozenset(names or ())


def _version(branch: Branch, key: str, default: str) -> ssl.TLSVersion:
    text = branch.text(key) or default
    if text in OLD_VERSIONS:
        branch.problem(key, f"{text} is not supported: it is broken, and OpenSSL refuses it", "write TLS12 or TLS13")
    elif text not in VERSIONS:
        branch.problem(key, f"{quoted(text)} is unknown", "write TLS12 or TLS13")
    return VERSIONS.get(text, VERSIONS[default])


def _ciphers(branch: Branch) -> tuple[str, ...]:
    """OpenSSL's names of the suites that are named, in their order."""
    names = branch.texts("cipher_suites") or ()
    for name in names:
        if name in CIPHER_SUITES_OF_TLS13:
            what = f"{name} is of TLS 1.3, whose suites cannot be chosen: all are always on"
            branch.problem("cipher_suites", what, "remove it from the list")
        elif name not in CIPHER_SUITES:
            branch.problem("cipher_suites", f"{quoted(name)} is unknown", suggestion(name, CIPHER_SUITES))
    return tuple(CIPHER_SUITES[name] for name in names if name in CIPHER_SUITES)
