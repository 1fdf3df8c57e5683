"""Fixations and stimuli in the HDF5 files of pysaliency."""
