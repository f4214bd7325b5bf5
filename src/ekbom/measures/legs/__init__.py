"""Leg movements of polysomnography, found and scored to the rules, with reasons.

Marks of people or of the detector are scored by WASM 2016, WASM 2006 and AASM
side by side; every movement says why it is or is not periodic. Research use:
not medical advice.
"""
