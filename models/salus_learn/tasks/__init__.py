"""Risk task files (TOML) and case tables: reading and checking them."""
