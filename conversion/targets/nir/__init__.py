"""NIR graphs, written: in the form that the library named reads right."""
