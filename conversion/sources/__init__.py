"""Sources of networks: one folder each."""
