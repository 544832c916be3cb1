"""The door: bytes in, typed records out."""
