"""Readers and writers of marks, hypnograms and signals, apart by format."""
