"""What a new rulebook would have done: recorded inputs folded twice in this process, and what differs.

`recorded` and `from_topics` give the inputs, `fold` folds them as the engine would with `clock: stream`, `fates` keeps
what became of each appeal, `changes` and `compare` tell two sets of fates apart, `books` two rulebooks, `report` shows
it. Nothing is written to Kafka or Redis.
"""
