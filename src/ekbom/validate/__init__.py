"""Closed loops: made data with known truth through the real commands."""
