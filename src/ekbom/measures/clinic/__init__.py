"""Diagnosis with reasons, scales, iron status and treatment response.

Answers and laboratory values in, statuses and scores out, each with the rule
and the source it rests on. Research use: not medical advice.
"""
