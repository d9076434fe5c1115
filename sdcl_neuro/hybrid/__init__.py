"""The hybrid network: frame branch, bridge and their composition with the event branch."""
