"""The contract for others: what flows on which topic, for whoever writes or reads it without our code."""
