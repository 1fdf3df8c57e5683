"""Judging and rearranging labels: agreement, checks, counts, merging, carrying over."""
