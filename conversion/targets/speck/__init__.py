"""Speck (DYNAP-CNN): the network in its chip's 8-bit integers, and what the chip does otherwise."""
