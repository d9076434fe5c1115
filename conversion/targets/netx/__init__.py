"""Lava-DL's netx files: written, read, and what they cannot hold."""
