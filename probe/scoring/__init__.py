"""NSS of regions under activation maps, batch by batch."""
