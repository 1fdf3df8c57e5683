"""Networks: where they come from, their layers and weights, and running them."""
