"""What units score by slices of the fixations: tables and a figure."""
