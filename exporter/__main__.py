"""`python -m exporter` is `maia-exporter`."""

from exporter.cli.main import main

main()
