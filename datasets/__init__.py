"""Stimuli, fixations, salient regions and the files that hold them."""
