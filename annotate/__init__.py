"""Makes masks: clusters fixations into salient regions and gets them labelled."""
