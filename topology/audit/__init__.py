"""The audit, read back: a case's whole life, proof that no line is missing or altered, and the same life folded again.

`lines` is what all of it works on; `verify`, `replay` and `story` are pure; `reader` gets their input from the topics,
`show` says what they found.
"""
