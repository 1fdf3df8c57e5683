"""Search arrays in which one item stands out: pop-out stimuli with exact masks."""
