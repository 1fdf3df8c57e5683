"""What pysaliency's files are called."""

FIXATIONS, STIMULI = "fixations.hdf5", "stimuli.hdf5"
"""Fixations number their stimuli, whose file names are in another file, which lies beside."""
