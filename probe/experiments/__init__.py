"""Several trainings and probings that belong together."""
