"""Search arrays in which one item stands out, with exact masks."""
