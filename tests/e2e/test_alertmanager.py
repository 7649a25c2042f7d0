"""Our rules in a real Prometheus, delivered by a real Alertmanager by our example of a config to a webhook."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from .processes import free_port, until

pytestmark = [pytest.mark.e2e, pytest.mark.prometheus]

FOLDER = Path(__file__).parents[2] / "grafana" / "prometheus"
PIPELINE = "finance/nightly-load.orch.yaml"


class Webhook:
    """Keeps what Alertmanager posts, by the path that it is posted to."""

    def __init__(self):
        self.posted = []
        posted = self.posted

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                posted.extend((self.path, alert) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def has(self, alertname, status, **labels):
        """The path to which such an alert was posted, and the alert."""
        for path, alert in list(self.posted):
            wanted = {"alertname": alertname, **labels}.items()
            if alert["status"] == status and wanted <= alert["labels"].items():
                return path, alert
        return None

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def webhook():
    webhook = Webhook()
    yield webhook
    webhook.close()


def hurried(webhook):
    """The example's routes and inhibitions, without its patience, to our webhook."""
    config = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    config["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    for receiver in config["receivers"]:
        for each in receiver["webhook_configs"]:
            each["url"] = each["url"].replace("http://localhost:5001", webhook.url)
    return config


def test_a_failing_run_fires_and_its_success_resolves_while_the_exporter_restarts_in_between(stage, webhook):
    simulator = stage.simulator(script="failing", speed=0)
    first = stage.service(api=simulator.url)
    alertmanager = stage.alertmanager(config=hurried(webhook))
    stage.prometheus(target=f"127.0.0.1:{first.port}", rules=FOLDER / "rules.yml", alertmanager=alertmanager.address)
    first.up()
    run = {"environmentName": "prod", "pipelineName": PIPELINE, "duration": "1s"}

    simulator.tell("runs", **run, status="FAILED", ago="2s")
    path, fired = until(lambda: webhook.has("PipelineFailed", "firing", pipeline_name=PIPELINE), what="it fires")
    assert path == "/on-call"
    assert fired["labels"]["environment_name"] == "prod"
    assert fired["annotations"]["summary"].startswith(f"{PIPELINE} in prod (")
    assert fired["annotations"]["page"].startswith("http://localhost:9986/?project=")

    first.end()
    second = stage.service(api=simulator.url, port=first.port)
    second.up()
    polls = second.sample("maia_exporter_polls_total")
    until(lambda: second.sample("maia_exporter_polls_total") >= polls + 3, what="polls after the restart")
    assert not webhook.has("PipelineFailed", "resolved", pipeline_name=PIPELINE), "the restart resolved it"

    simulator.tell("runs", **run, status="SUCCESS", ago="1s")
    until(lambda: webhook.has("PipelineFailed", "resolved", pipeline_name=PIPELINE), what="it resolves")
