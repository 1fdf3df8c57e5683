"""The results review: from a run's table to units, regions and activation maps."""
