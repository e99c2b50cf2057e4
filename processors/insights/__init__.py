"""Insights: what the stream of decisions teaches, as pure logic; `topology/insights` runs it.

Reading order: `facts` (what one record adds to which counts), `cells` (counts by time), `shard` (one partition's counts
and open cases, exact through any crash), `totals` (the partitions added up), then what is told of them: `rates`,
`quality`, `load` and `misfire`, with `beta` beneath.
"""
