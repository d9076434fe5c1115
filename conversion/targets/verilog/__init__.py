"""A network as SystemVerilog: event-driven layers with weights in memories and a handshake."""
