"""Saliency maps: classical models, maps from other sources, metrics, the benchmark."""
