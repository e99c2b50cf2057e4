"""Texts of people, sealed with a key of theirs that can be destroyed.

What a sealed text and a wrapped key are is part of the contract: `schemas.sealed`, `schemas.wrapped`. Reading order
here: `ports`, `subject_keys` (one key a
user, the topic its truth), `redis_view` and `kafka_log` (the real ends), `opening` (puts them together), `follower`
(keeps the view), `texts` (for intake and reviewer tools), `letters` (dead letters), `command` (what operators do).
"""
