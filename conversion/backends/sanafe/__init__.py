"""SANA-FE as a backend: an independent simulator of Loihi 1, in an interpreter of its own."""
