"""A web server beside a thread that renders without a pause: `python -m bench.rendering PIPELINES PORT-FILE`.

With 0 pipelines there is nothing to render.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from web.serving import Service as Serving  # the web server on a socket, as its own tests have it

from exporter.metrics.snapshot import Snapshot

from .accounts import state_of


def main(pipelines: str, port_file: str) -> None:
    with Serving(number=1) as serving:
        snapshots = [Snapshot(state=state_of(int(pipelines) or 2_000, seed=seed)) for seed in (2, 3)]
        for snapshot in snapshots:
            serving.exposition.publish(snapshot)
        Path(port_file).write_text(str(serving.server.port))
        while int(pipelines):
            for snapshot in snapshots:  # every pipeline differs between the two
                serving.exposition.publish(snapshot)
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
