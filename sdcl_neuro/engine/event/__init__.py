"""The event-driven path: work in proportion to the spikes."""
