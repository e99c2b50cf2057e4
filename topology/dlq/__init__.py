"""Dead letters as operators handle them: list, show, replay and discard.

`letters` says what a letter is, `choosing` which may be settled and in what order, `settling` does it in transactions,
`decoding` reads as much of a record as can be read, `command` is what `recourse dlq` runs.
"""
