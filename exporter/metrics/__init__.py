"""What Prometheus reads: facts about Maia, rendered once per poll, and facts about ourselves, kept as instruments.

The way of a poll: `facts` renders a `Snapshot`, `exposition` swaps it in; the way of a scrape: `exposition` joins it
with what `self_metrics` says. Must not call the API or the store.
"""
