"""The pages, one module a place at the desk; `visit` has what all of them share."""
