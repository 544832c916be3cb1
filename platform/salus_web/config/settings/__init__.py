"""One module per environment: base, local, test, production."""
