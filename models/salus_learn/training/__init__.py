"""Training: nested cross-validation by person, then one model on everybody."""
