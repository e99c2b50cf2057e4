"""`recourse demo`: the whole loop live, on a real Kafka and Redis, and at its end a balance read back from the topics.

Enforcement systems and specialists are simulated; they know the public contract only (topics and schemas). Everything
between them is the product as it runs in production.
"""
