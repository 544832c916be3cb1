"""Published bedside scores beside the model: points from a table everybody knows, or the word that an input is missing."""
