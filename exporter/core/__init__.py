"""The pure heart: what a run is, how it moves, what follows from it.

Nothing in here reads a clock, a file or a socket, logs, or starts a thread; `now` is an argument, and the
only imports are a few modules of the standard library and this package.
"""
