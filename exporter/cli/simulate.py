"""`maia-exporter simulate`: the simulator of the Maia API alone, until somebody ends it.

Must not know what the account does: `exporter.simulator` does.
"""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from exporter.cli.log_options import log_options
from exporter.simulator.reader import load_script
from exporter.simulator.server import ServedSimulator, serve
from exporter.simulator.table import ScriptError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LOOK_SECONDS = 0.5


@click.command()
@click.option(
    "--listen", default="127.0.0.1:9987", show_default=True, help="Address and port; port 0 takes a free one."
)
@click.option("--script", default="demo", show_default=True, help="A script's name, or a file.")
@click.option("--seed", default=1, show_default=True, help="Another seed, another account.")
@click.option("--speed", default=1.0, show_default=True, help="Divides durations and gaps; 0 = nothing starts or ends.")
@log_options
def simulate(listen: str, script: str, seed: int, speed: float) -> None:
    """Serve a simulated Maia API: no credentials, nothing leaves the machine.

    Its API is under /dpc, its tokens at /oauth/dpc/token (client id demo, secret demo), its truth, faults and log under
    /control. Every instant on the wire is the machine's clock, whatever the speed.

    \b
    Example: maia-exporter simulate --listen 127.0.0.1:0 --script stuck --speed 60
    """
    host, port = _address(listen)
    with _signals_held():
        try:
            served = serve(load_script(script), host=host, port=port, seed=seed, speed=speed)
        except ScriptError as error:
            raise click.BadParameter(str(error), param_hint="--script") from error
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--speed") from error
        except (OSError, OverflowError) as error:
            raise click.ClickException(f"cannot listen on {listen}: {error}; choose another with --listen") from error
        with served:
            click.echo(_told(served))
            sys.stdout.flush()
            while signal.sigtimedwait(_SIGNALS, _LOOK_SECONDS) is None:
                if not served.alive:
                    raise click.ClickException("the simulator's server ended by itself")


def _told(served: ServedSimulator) -> str:
    world = served.world
    return "\n".join(
        (
            f"API      {served.api_url}",
            f"tokens   {served.token_url}  (client id demo, secret demo)",
            f"control  {served.control_url}/truth  (also log, faults, runs, ...)",
            f"account  {world.script.name}: {len(world.pipelines)} pipelines, {len(world.runs)} runs so far, "
            f"seed {world.seed}, speed {world.speed:g}",
        )
    )


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(
            f"{listen!r}; write an address and a port, as in 127.0.0.1:9987", param_hint="--listen"
        )
    return host.strip("[]"), int(port)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold the signals that end us before any thread starts: they are waited for, never handled."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
