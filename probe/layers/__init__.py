"""What a network's layers are: traced, laid out, named, and read in a forward pass."""
