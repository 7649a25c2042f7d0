"""What goes wrong outside of us: one line or two on standard error, exit 1, no traceback, no secret."""

import http.server
import socket
import threading
from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.e2e

RUN = "4f2d1c3a-0b5e-4d6f-8a7b-9c0d1e2f3a4b"
COMMANDS = [
    ("projects",),
    ("environments", "Finance"),
    ("pipelines", "Finance", "-e", "prod"),
    ("execute", "Finance", "finance/slow.orch.yaml", "-e", "prod"),
    ("status", RUN),
    ("steps", RUN),
    ("executions",),
    ("cancel", RUN, "--yes"),
]
SECRET = "s3cret-that-nobody-may-see"


def complaint(done):
    """The one or two lines that it says."""
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    lines = done.stderr.splitlines()
    assert 1 <= len(lines) <= 2, done.stderr
    assert lines[0].startswith("Error: ")
    assert SECRET not in done.stderr
    return done.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_without_credentials_it_says_which_variables_to_set(maia, command):
    said = complaint(maia.inside(*command, env={"MAIA_CLIENT_ID": "", "MAIA_CLIENT_SECRET": ""}))
    assert "MAIA_CLIENT_ID: is not set; set it, or name a config file with --config" in said
    assert "MAIA_CLIENT_SECRET" in said
    assert maia.control("log")["requests"] == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_wrong_credentials_are_told_with_a_hint_at_the_region(maia, command):
    said = complaint(maia.inside(*command, env={"MAIA_CLIENT_SECRET": SECRET}))
    assert "HTTP 401" in said
    assert "check client_id and client_secret" in said
    assert f"asked at {maia.served.api_url}; an account lives in one region" in said


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_network_that_is_down_is_told(maia, command):
    with socket.create_server(("127.0.0.1", 0)) as free:
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    said = complaint(
        maia.inside(*command, env={"MAIA_API_URL": f"{nowhere}/dpc", "MAIA_TOKEN_URL": f"{nowhere}/token"})
    )
    assert "Connection refused; nothing listens there" in said


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_proxy_that_answers_html_is_recognised(maia, command):
    maia.control("faults", {"kind": "html", "path": "/dpc/*"})
    assert "the answer is a web page, so it comes from a proxy" in complaint(maia.inside(*command))


@pytest.mark.parametrize(
    "command",
    [
        ("environments", "Payroll"),
        ("pipelines", "Payroll", "-e", "prod"),
        ("execute", "Payroll", "payroll/monthly.orch.yaml", "-e", "prod"),
        ("status", RUN, "--project", "Payroll"),
        ("steps", RUN, "--project", "Payroll"),
        ("executions", "--project", "Payroll"),
        ("cancel", RUN, "--yes", "--project", "Payroll"),
    ],
    ids=lambda command: command[0],
)
def test_a_project_without_rights_is_named(maia, command):
    said = complaint(maia.inside(*command))
    assert 'no rights in project "Payroll"' in said
    assert "HTTP 403" in said


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"MAIA_CLIENT_ID": ""}, "MAIA_CLIENT_ID: is not set"),
        ({"MAIA_CLIENT_SECRET": SECRET}, "HTTP 401"),
    ],
)
def test_the_installed_script_leaves_in_the_same_way(maia, env, said):
    assert said in complaint(maia("projects", env=env))


def test_no_rights_at_all_hint_at_the_region(maia):
    maia.control("faults", {"kind": "status", "status": 403, "path": "/dpc/*"})
    said = complaint(maia("projects"))
    assert "HTTP 403" in said
    assert "an account lives in one region" in said


def test_rights_in_one_project_are_enough_when_its_id_is_given(maia):
    project_id = maia.project_id("Finance")
    maia.control("faults", {"kind": "status", "status": 403, "path": "/dpc/v1/projects"})
    done = maia("environments", project_id, "--plain")
    assert (done.returncode, done.stdout.split()) == (0, ["prod", "test"])
    assert "HTTP 403" in complaint(maia("environments", "Finance"))


def test_a_region_that_does_not_exist_is_told_with_those_that_do(maia):
    said = complaint(maia("projects", env={"MAIA_REGION": "eu2", "MAIA_API_URL": "", "MAIA_TOKEN_URL": ""}))
    assert 'MAIA_REGION: "eu2" is no region; did you mean "eu1"?' in said


def test_a_server_in_trouble_is_told(maia):
    maia.control("faults", {"kind": "status", "status": 503, "path": "/dpc/*"})
    assert "HTTP 503" in complaint(maia("executions"))


# Where the account comes from


def config_for(maia, **changes):
    urls = {"api_url": maia.served.api_url, "token_url": maia.served.token_url}
    values = {"client_id": "demo", "client_secret": "demo", **urls, **changes}
    return "[maia]\n" + "".join(f'{key} = "{value}"\n' for key, value in values.items())


def without_environment(maia):
    return {name: "" for name in maia.env if name.startswith("MAIA_")}


def test_the_config_of_the_folder_is_used_and_its_link(maia):
    text = config_for(maia, run_url="https://maia.example/{run_id}")
    (maia.folder / "config.toml").write_text(text)
    done = maia("status", maia.made_up(), env=without_environment(maia))
    assert done.returncode == 0, done.stderr
    assert "link         https://maia.example/" in done.stdout


def test_a_config_that_is_wrong_exits_2_with_all_its_mistakes(maia):
    (maia.folder / "own.toml").write_text(config_for(maia) + 'colour = "red"\nshape = 1\n')
    done = maia("projects", "--config", "own.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["[maia] colour", "[maia] shape"]


def test_a_config_that_is_named_and_missing_exits_2(maia):
    done = maia("projects", "--config", "missing.toml")
    assert done.returncode == 2
    assert "missing.toml: cannot be read" in done.stderr


def test_targets_and_limits_of_the_config_are_left_alone(maia):
    heard = []
    with listening(heard) as address:
        targets = f'[[targets]]\nname = "t"\nurl = "json://{address}/"\n'
        limits = '[[limits]]\nname = "l"\nenvironments = ["prod"]\ncancel_after = "5m"\nmode = "cancel"\n'
        (maia.folder / "config.toml").write_text(config_for(maia) + targets + limits)
        run_id = maia.made_up(ago="9h")
        failed = maia.made_up(status="FAILED")
        for command in (("status", run_id, failed), ("steps", run_id), ("executions",), ("cancel", run_id)):
            maia(*command)
    assert (heard, maia.requests("PATCH")) == ([], [])
    assert sorted(each.name for each in maia.folder.iterdir()) == ["config.toml"], "and there is no record"


@contextmanager
def listening(heard):
    """The address of a server that keeps what it is told."""

    class Ear(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(self.path)
            self.send_response(200)
            self.end_headers()

    with http.server.HTTPServer(("127.0.0.1", 0), Ear) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


# Help


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_help_has_an_example_that_can_be_read(maia, command):
    done = maia.inside(command[0], "--help")
    assert done.returncode == 0
    assert f"  maia-exporter {command[0]}" in done.stdout.split("Example")[1]


def test_the_shell_completes_commands_and_options(maia):
    asked = {"_MAIA_EXPORTER_COMPLETE": "bash_complete", "COMP_CWORD": "2"}
    options = maia(env=asked | {"COMP_WORDS": "maia-exporter execute --can"})
    assert options.stdout.split() == ["plain,--cancel-on-timeout"]
    script = maia(env={"_MAIA_EXPORTER_COMPLETE": "bash_source"})
    assert "complete -o nosort -F _maia_exporter_completion maia-exporter" in script.stdout


def test_a_target_whose_secret_is_not_at_hand_keeps_nobody_from_a_run(maia):
    rest = '[[targets]]\nname = "t"\nurl = "${ONLY_THE_SERVICE_HAS_THIS}"\n[[limits]]\nname = "no limit"\n'
    (maia.folder / "config.toml").write_text(config_for(maia) + rest)
    run_id = maia.made_up()
    for command in (("projects",), ("status", run_id), ("cancel", run_id, "--yes")):
        done = maia.inside(*command, env=without_environment(maia))
        assert done.returncode == 0, done.stderr
