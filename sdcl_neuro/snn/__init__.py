"""Spiking networks in torch: chip-exact neurons, the event branch, training through time."""
