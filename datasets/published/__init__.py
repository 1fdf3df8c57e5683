"""Readers of published data sets, each after the structure that its authors publish."""
