"""How it flows: the register of topics, the exactly-once engine, settings and the command line."""
