"""One-file HTML reports from small blocks."""
