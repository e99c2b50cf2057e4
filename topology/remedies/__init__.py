"""Remedies, for operators: propose the reversal of a whole cohort, look at the dry run, approve, steer and watch.

`whole` and `commands` are pure; `command` reads, writes and prints. A command goes to every partition at once, and
each partition answers for itself.
"""
