"""The engine beside the frameworks that do the same job: same topic, same work, one run."""
