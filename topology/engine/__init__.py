"""The exactly-once loop: a pure fold over co-partitioned topics, its state in Redis, its truth in Kafka.

Read the modules in this order: `definition` (what an application gives), `loop` (the seven steps of a batch),
`taking`, `reading` and `fold` (steps 1 to 3), `transaction` (steps 4 to 6), `redis_store` (step 7), `restore` (how
state comes back) and `committed` (what the offsets must say first), `allowance` and `sweep` (what the events of a
partition share).
"""
