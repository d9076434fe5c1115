"""A network as C99: one file without dependencies or allocation, event-driven, integers only."""
