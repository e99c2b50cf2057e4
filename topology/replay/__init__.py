"""History from a file: rows become input records by a mapping, and a balance says what became of each appeal.

`mapping` is the language, `mapping_file` reads it, `rows` reads the file, `mapper` applies one to the other, `load`
writes the input topics, `run` folds them to their end in this process, `balance` counts.
"""
