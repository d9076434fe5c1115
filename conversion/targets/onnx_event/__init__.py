"""A network as ONNX: its integer step with states in and out, and a whole sequence of steps."""
