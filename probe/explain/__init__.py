"""Activation maps explained by filters, position and contrast, and rebuilt from them."""
