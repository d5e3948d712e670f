"""Bulk runs: a file of requests in, a file of results out. Stands on `service`; knows nothing of terminals.

`reading` turns bytes into numbered lines, `lines` and `body` a line into a request or a typed error, `run` sends them
through a service, `rows` makes the output lines, `output` writes them, `tally` counts, `estimate` counts in advance.
"""
