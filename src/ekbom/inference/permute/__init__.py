"""Permutation: which relabellings there are, and the maxima they give."""
