"""The chair: judges' margins become one, per pattern of what is present."""
