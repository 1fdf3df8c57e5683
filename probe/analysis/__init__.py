"""What finished runs say: two runs, one unit, inside against outside, suggestions."""
