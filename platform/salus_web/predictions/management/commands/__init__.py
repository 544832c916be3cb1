"""Commands of the predictions app."""
