"""Measures on search arrays, of saliency maps and of networks' units."""
