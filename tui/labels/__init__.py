"""The label review: every region of a mask file, with a key for each category."""
