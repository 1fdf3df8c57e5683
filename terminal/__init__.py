"""Shared by both command lines: notes and progress on stderr, tables, one-line errors."""
