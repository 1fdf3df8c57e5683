"""Bootstrap, selectivity of units, tests between categories: arrays in, numbers out."""
