"""Inside a unit: what it sees, where, and what drives it."""
