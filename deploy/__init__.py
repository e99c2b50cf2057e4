"""Where it runs, and how that is watched. Files for others' tools; what makes them from their sources is Python."""
