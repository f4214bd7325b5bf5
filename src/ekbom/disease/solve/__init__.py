"""Solver of the model: a linearly implicit method on the compiled right-hand side."""
