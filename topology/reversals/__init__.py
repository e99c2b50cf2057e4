"""Reversals, for operators: which run and which are stuck, the life of one, what went back, and how to help one on.

`life` and `ledger` are pure; `reader` gets their input from the topics, `orders` writes what an operator decides.
"""
