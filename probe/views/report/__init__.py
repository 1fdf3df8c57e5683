"""Runs as a site of static pages, which opens from disk and loads nothing from elsewhere."""
