"""A snapshot becomes named columns, as of the index moment."""
