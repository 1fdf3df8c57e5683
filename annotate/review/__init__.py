"""Labels under review: edits that can be undone, and the journal that keeps them."""
