"""Hardware profiles as data, one TOML file a chip; `README.md` beside it is the schema."""
