"""Receptive fields: tables and pictures."""
