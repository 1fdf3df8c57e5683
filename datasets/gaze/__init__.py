"""Tables of fixations: our own form, and what eye trackers' programs export."""
