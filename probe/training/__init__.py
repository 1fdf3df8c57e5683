"""Training networks for saliency and for scenes, and what training does to their units."""
