"""A Prometheus that has two hours of simulated life in it, made once for all workers."""

import fcntl
import json
import os
import pickle
import shutil
import subprocess
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from e2e.processes import Process, free_port, need, until

from .life import END, T0, lived
from .promhttp import Api
from .queries import RULES


class Lived(NamedTuple):
    """A Prometheus and what is true of each account in it."""

    api: Api
    truth: dict


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory, worker_folder):
    """The accounts' two hours and the recorded series over them, served."""
    promtool = need("promtool")
    shared = worker_folder / "life"
    with (worker_folder / "life.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "truth").exists():
            shutil.rmtree(shared, ignore_errors=True)
            shared.mkdir()
            backfill(promtool, shared)
    own = tmp_path_factory.mktemp("prometheus")
    shutil.copytree(shared / "tsdb", own / "tsdb")
    with served(own) as api:
        yield Lived(api, pickle.loads((shared / "truth").read_bytes()))


@pytest.fixture(scope="session")
def worker_folder(tmp_path_factory):
    """One folder for all workers of pytest-xdist."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def backfill(promtool, folder):
    """Live, make blocks of what was scraped, and of what the recording rules make of that."""
    truth = lived(folder, folder / "scraped.txt")
    made(promtool, "openmetrics", folder / "scraped.txt", folder / "tsdb")
    with served(folder) as api:
        span = (f"--start={T0.timestamp():.0f}", f"--end={END.timestamp():.0f}", "--eval-interval=1m")
        made(promtool, "rules", f"--url={api.url}", *span, f"--output-dir={folder / 'recorded'}", RULES)
    for block in (folder / "recorded").iterdir():
        shutil.move(block, folder / "tsdb" / block.name)
    (folder / "truth").write_bytes(pickle.dumps(truth))


def made(promtool, *words):
    done = subprocess.run([promtool, "tsdb", "create-blocks-from", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def served(folder):
    """Debian's Prometheus on the blocks in a folder; it scrapes nothing and keeps everything."""
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"global": {"evaluation_interval": "1m"}}))
    port = free_port()
    process = Process(
        need("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        folder=folder,
        name="prometheus",
    )
    api = Api(f"http://127.0.0.1:{port}")
    try:
        until(api.ready, timeout=60, what="Prometheus is ready")
        yield api
    finally:
        api.close()
        process.end()
