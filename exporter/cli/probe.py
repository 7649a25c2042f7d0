"""`python -m exporter.cli.probe [HOST:PORT]`: exit 0 while the service there is healthy, 1 otherwise. For containers.

Asks over http and, where that is no language the port speaks, over TLS, so that it works with and without a web config.
Must not read the config: a new one that is wrong changes nothing for the service, so it must not for its health.
"""

from __future__ import annotations

import http.client
import ssl
import sys

DEFAULT = "127.0.0.1:9986"
_SECONDS = 2.0  # each of the two; the image gives the probe five


def problem(host: str, port: int) -> str:
    """What is wrong with the service, "" for nothing."""
    try:
        return _answer(http.client.HTTPConnection(host, port, timeout=_SECONDS))
    except (http.client.HTTPException, OSError) as error:
        plain = error
    try:
        return _answer_over_tls(http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=_anybody()))
    except (http.client.HTTPException, OSError) as error:
        return f"{plain}; with TLS: {error}"


def main() -> None:
    """Say what is wrong, and leave with the exit code."""
    host, _, port = (sys.argv[1] if len(sys.argv) > 1 else DEFAULT).rpartition(":")
    said = problem(host.strip("[]"), int(port))
    if said:
        sys.stderr.write(f"not healthy: {said}\n")
    sys.exit(1 if said else 0)


def _answer(connection: http.client.HTTPConnection) -> str:
    connection.request("GET", "/-/healthy", headers={"Connection": "close"})
    answer = connection.getresponse()
    text = answer.read(500).decode(errors="replace").strip()
    if answer.status == http.client.BAD_REQUEST:  # how a server says that it expects TLS
        raise http.client.HTTPException(f"HTTP 400: {text}")
    return "" if answer.status == http.client.OK else f"HTTP {answer.status}: {text}"


def _answer_over_tls(connection: http.client.HTTPSConnection) -> str:
    """The same. One that wants a certificate of ours says so or hangs up, and lives: a dead worker ends the process."""
    try:
        connection.connect()
    except ssl.SSLError as error:
        if "ALERT" in str(error.reason):
            return ""
        raise
    try:
        return _answer(connection)
    except (http.client.HTTPException, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        return ""


def _anybody() -> ssl.SSLContext:
    """Believes any certificate: the other end is this machine, under whatever name the certificate has."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


if __name__ == "__main__":
    main()
