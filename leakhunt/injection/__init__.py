"""A visitor for a running CPython: brought in without its consent, and gone with our connection.

`target` looks at the process and refuses what cannot be attached, `ways` bring source text into it
(`sys.remote_exec` from Python 3.14 on, else ptrace, on other machines gdb), `visit` talks to the
agent that the text starts. Linux only.
"""
