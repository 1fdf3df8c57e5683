"""Saliency models compared: tables of their scores, and a figure of their maps."""
