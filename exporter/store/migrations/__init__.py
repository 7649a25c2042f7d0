"""The versions of the schema, oldest first.

To add one: `versions/NNNN_what.py` with the next number as `revision` and the one before as `down_revision`, the same
tables in `exporter.store.schema`, and HEAD in `exporter.store.upgrade`. A test compares the three.
"""
