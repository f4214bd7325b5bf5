"""Scales: totals, parts, bands, missing items, measurement error."""
