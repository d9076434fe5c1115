"""Backends compared, spike for spike, and the certificate of it."""
