"""The public face of salprobe, for notebooks and scripts."""
