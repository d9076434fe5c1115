"""Networks that are graphs: described, and laid out as a chain that computes the same."""
