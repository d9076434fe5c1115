"""NIR graphs: written, read, and what they mean."""
