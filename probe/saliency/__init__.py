"""Saliency maps: classical models, maps from anywhere, metrics, the benchmark."""
