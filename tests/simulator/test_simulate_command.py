"""`simulate` as a process of its own: it tells its URLs, and ends when told to."""

import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from click.testing import CliRunner

from exporter.cli.simulate import simulate

from .asking import SIGN_IN

COMMAND = [sys.executable, "-c", "from exporter.cli.simulate import simulate; simulate()"]


def started(*options):
    command = [*COMMAND, "--listen", "127.0.0.1:0", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told(process):
    lines = [process.stdout.readline() for _ in range(4)]
    return dict(re.match(r"(\w+) +(\S+)", line).groups() for line in lines)


def log(urls):
    return httpx.get(urls["control"].replace("truth", "log")).json()["requests"]


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_tells_its_urls_serves_and_ends_on_a_signal_also_with_a_hung_request(number):
    with started("--speed", "60") as process:
        urls = told(process)
        assert urls["API"].endswith("/dpc")
        token = httpx.post(urls["tokens"], data=SIGN_IN).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{urls['API']}/v1/projects", headers=headers).status_code == 200
        assert httpx.get(urls["control"]).json()["speed"] == 60
        faults = urls["control"].replace("truth", "faults")
        httpx.post(faults, json={"kind": "reset", "after_bytes": 5, "count": 1})
        with pytest.raises(httpx.ReadError):
            httpx.get(f"{urls['API']}/v1/projects", headers=headers)
        httpx.post(faults, json={"kind": "hang"})
        with socket.create_connection(urls["API"].removeprefix("http://").removesuffix("/dpc").split(":")) as hung:
            hung.sendall(b"GET /dpc/v1/projects HTTP/1.1\r\nHost: sim\r\n\r\n")
            while not any(each["status"] is None for each in log(urls)):
                pass
            before = time.perf_counter()
            process.send_signal(number)
            assert process.wait(timeout=10) == 0
            assert time.perf_counter() - before < 3
        assert process.stderr.read() == "", "faults on purpose are nothing to complain of"


@pytest.mark.e2e
def test_a_taken_address_is_a_failure_that_names_it():
    with started() as process:
        address = told(process)["API"].removeprefix("http://").removesuffix("/dpc")
        second = subprocess.run([*COMMAND, "--listen", address], capture_output=True, text=True)
        process.terminate()
    assert second.returncode == 1
    assert f"cannot listen on {address}" in second.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--script", "nope"], "a script is a file or one of calm, demo,"),
        (["--speed", "-1"], "speed -1 is not between 0 and"),
        (["--speed", "nan"], "speed nan is not between 0 and"),
        (["--listen", "9987"], "write an address and a port"),
        (["--listen", "127.0.0.1:99999"], "write an address and a port"),
        (["--colour", "red"], "No such option"),
    ],
)
def test_a_bad_command_line_is_told_and_exits_2(options, message):
    result = CliRunner().invoke(simulate, options)
    assert result.exit_code == 2
    assert message in result.output


def test_a_bad_script_is_told_and_exits_2(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("colour = 1")
    result = CliRunner().invoke(simulate, ["--script", str(path)])
    assert result.exit_code == 2
    assert "bad.toml: colour: unknown key" in result.output
