"""From layers of any library to the chain that a chip runs."""
