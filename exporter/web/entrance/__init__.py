"""The way in, as a web config file describes it: TLS, passwords, response headers, a limit on requests.

The file's format is that of Prometheus's exporter-toolkit, so that the file which a fleet already has works here too.
"""
