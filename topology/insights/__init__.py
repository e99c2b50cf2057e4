"""`recourse insights`: the pure logic of `processors/insights` on Faust, at least once and exact all the same.

Reading order: `service` (what happens to a record and on a tick, without Faust), `app` (agents, table and timer),
`edge` (what of Faust is replaced, and why), `run` (life and exit code), `gauges` (metrics).
"""
