"""The command line: one small module per group of commands, loaded when it is called.

Must not decide anything about runs; a command builds what it needs, calls it, and turns errors into exit codes.
"""
