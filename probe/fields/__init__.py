"""Receptive fields: estimated, described, and whether they are centre–surround."""
