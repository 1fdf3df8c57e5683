"""Where stimuli and fixations come from: published datasets, the sample, your own folder."""
