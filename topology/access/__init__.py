"""How this process shows who it is, and proves whom it talks to: settings of Kafka, Redis and the schema registry.

Each module has the settings of one, and the only place where they become what its client library takes. Whoever makes
a client starts from there, so all of them honour the same settings.
"""
