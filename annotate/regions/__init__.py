"""Regions made of fixations, or drafted by other programs."""
