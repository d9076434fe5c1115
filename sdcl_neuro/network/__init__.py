"""Networks as plain data: layers, fixed-point arithmetic, spikes, and records of a run."""
