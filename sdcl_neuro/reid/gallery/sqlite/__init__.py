"""A gallery in one SQLite file, its vectors searched by FAISS or numpy."""
