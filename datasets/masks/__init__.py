"""The mask file: its regions, outlines and consistency."""
