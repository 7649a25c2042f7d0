"""`maia-exporter demo`: the service against an embedded simulator; no credentials, nothing leaves the machine."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exporter.app import App, serve
from exporter.cli.options import common_options, fail
from exporter.config.load import parse
from exporter.simulator.inbox import Inbox, ServedInbox
from exporter.simulator.reader import load_script
from exporter.simulator.server import serve as serve_simulator
from exporter.simulator.table import ScriptError
from exporter.store.errors import StoreError
from exporter.web.server import CannotListen

if TYPE_CHECKING:
    from exporter.config.root import Config
    from exporter.simulator.inbox import Letter
    from exporter.simulator.server import ServedSimulator

DEFAULT_PORT = 9986


@click.command()
@common_options
@click.option(
    "--script", default="demo", show_default=True, help="The simulator's account: a script's name, or a file."
)
@click.option("--seed", default=1, show_default=True, help="Another seed, another account.")
@click.option("--speed", default=60.0, show_default=True, help="How many times faster than life.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to keep the record; without it, a new one that is removed at the end.",
)
def demo(config_path: Path | None, *, script: str, seed: int, speed: float, folder: Path | None) -> None:
    """Show what it does: a lively simulated account, an hour of it a minute. Ctrl-C ends it.

    \b
    Example: maia-exporter demo --speed 120
    """
    if config_path is not None:
        raise click.UsageError("the demo makes its own config; --config is for the other commands")
    with ExitStack() as stack:
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="maia-exporter-demo-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            simulator = stack.enter_context(serve_simulator(load_script(script), seed=seed, speed=speed))
        except (ScriptError, ValueError) as error:
            raise click.BadParameter(str(error)) from error
        inbox = stack.enter_context(ServedInbox(Inbox(_show)))
        app = _started(folder, simulator, inbox)
        click.echo(_what_to_open(app, simulator, inbox))
        sys.stdout.flush()
        code = serve(app, also=lambda: simulator.alive and inbox.alive)
        click.echo("The demo has ended." if code == 0 else "The demo has failed; the log above says why.")
    sys.exit(code)


def _started(folder: Path, simulator: ServedSimulator, inbox: ServedInbox) -> App:
    config = demo_config(
        folder,
        api_url=simulator.api_url,
        token_url=simulator.token_url,
        target_url=inbox.target_url,
        port=_port(),
    )
    try:
        app = App(config)
        app.start()
    except (StoreError, CannotListen) as error:
        fail(str(error))
    return app


def demo_config(folder: Path, *, api_url: str, token_url: str, target_url: str, port: int) -> Config:
    """The config of the demo: as in `config.toml`, on the simulator, with short intervals."""
    tables: dict[str, Any] = {
        "maia": {
            "api_url": api_url,
            "token_url": token_url,
            "client_id": "demo",
            "client_secret": "demo",
            "requests_per_minute": 600,
        },
        "poll": {"interval": "2s", "discovery": "30s"},
        "web": {"listen": f"127.0.0.1:{port}"},
        "limits": [
            {
                "name": "hung loads",
                "environments": ["prod"],
                "warn_after": "20s",
                "cancel_after": "30s",
                "mode": "cancel",
                "allow_short": True,
            }
        ],
        "targets": [{"name": "inbox", "url": target_url}],
    }
    return parse(tables, env=os.environ, folder=folder, source="demo")


def _port() -> int:
    """The default port, or 0 (any free one) when somebody has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError:
            return 0
    return DEFAULT_PORT


def _show(letter: Letter) -> None:
    """An alert, as it arrives."""
    lines = "\n".join(f"    | {line}" for line in (letter.title, *letter.body.splitlines()))
    click.echo(f"  a message arrived in the inbox:\n{lines}")
    sys.stdout.flush()


def _what_to_open(app: App, simulator: ServedSimulator, inbox: ServedInbox) -> str:
    return "\n".join(
        (
            "",
            f"  page       {app.url}/",
            f"  metrics    {app.url}/metrics",
            f"  inbox      {inbox.page_url}",
            f"  simulator  {simulator.url}/control/truth",
            "",
            f"  an account of {len(simulator.world.pipelines)} pipelines; what happens is logged below; Ctrl-C ends it",
            "",
        )
    )
