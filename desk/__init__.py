"""A reviewer tool on the public contract alone: topics and `schemas/`, nothing of the engine.

`client` is the part that any tool can use (docs/desk.md); `app` is the tool that people see.
"""
