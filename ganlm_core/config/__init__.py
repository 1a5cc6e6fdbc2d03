"""The configuration of a run: its options, its TOML form, and recipes."""
