"""Instruments, a room each: raw files of one subject-session to scores, tables and maps."""
