"""The stimulus under review: its regions, fixations and scanpaths, and what is clicked on it."""
