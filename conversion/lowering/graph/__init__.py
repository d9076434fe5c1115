"""Networks that are graphs, not chains: described, and laid out as a chain that computes the same."""
