"""Promise 5: a scrape never waits for the API (nor for the store): what answers it cannot even reach them."""

import subprocess
import sys

OUTSIDE = ("exporter.maia", "exporter.store", "exporter.observer", "exporter.poller", "httpx", "sqlalchemy", "apprise")


def test_what_answers_a_scrape_does_not_know_the_api_or_the_store():
    modules = "exporter.metrics.exposition, exporter.metrics.self_metrics, exporter.web.server, exporter.web.site"
    code = f"import sys, {modules}; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"exporter.metrics.exposition", "exporter.web.scrape"} <= loaded
    assert not [name for name in loaded if name.startswith(OUTSIDE)]


def test_the_page_for_people_is_paid_for_when_somebody_looks():
    code = "import sys, exporter.web.server, exporter.web.site; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
