"""Targets that networks are written for: one file or folder each."""
