"""Gaze samples: fixations detected in them."""
