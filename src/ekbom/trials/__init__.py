"""The model held to print: recipes for published findings, verdicts, postulates, trials.

A hypothesis engine: nothing here is medical advice.
"""
