"""Outlines under review: a new region, or another outline of one, by keys and mouse."""
