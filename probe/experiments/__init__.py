"""Experiments: several trainings and probings that belong together."""
