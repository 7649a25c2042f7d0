"""The Maia API as an app: what tests, the demo and `maia-exporter simulate` talk to.

It imports nothing else of this package, so that the client and its fake share no mistakes.
"""
