"""The terminal: labels and results under review."""
