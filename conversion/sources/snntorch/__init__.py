"""Networks of torch and snnTorch modules: read, swapped for chip-exact ones, approximated."""
