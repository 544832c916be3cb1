"""The model as one thing, and the bundle it is kept in."""
