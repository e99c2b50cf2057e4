"""Moves an installation to another number of partitions, offline: states, inputs and dead letters; outputs stay.

`sides` says what moves where, `seals` closes the groups that must not work meanwhile, `merging` reads, `carrier`
writes in transactions together with how far it is, `carrying`, `letters` and `shared` say what becomes of each kind
of record, `verifying` compares both sides, `command` is what `recourse reshard` runs (docs/reshard.md).
"""
