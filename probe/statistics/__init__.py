"""Selectivity of units, cross-fitting, tests between categories: arrays in, numbers out."""
