"""One probing: the run folder, resuming, provenance."""
