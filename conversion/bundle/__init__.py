"""What a laboratory carries to its board."""
