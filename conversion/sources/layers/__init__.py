"""Layers of others, read as the layers of torch and NIR that they equal."""
