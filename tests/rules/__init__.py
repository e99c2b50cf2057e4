"""The nine exactly-once rules, each broken on purpose: `make rules` shows that the tests which name it notice."""
