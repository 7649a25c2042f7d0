"""Versions of the schema, oldest first. A new one is `versions/NNNN_what.py` with the number before as its parent."""
