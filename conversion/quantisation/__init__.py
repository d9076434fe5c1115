"""From a float description to a chip's integers, and what that changed."""
