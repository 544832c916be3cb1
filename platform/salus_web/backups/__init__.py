"""Copies of the whole installation, sealed; putting one back; and proving that it can be put back."""
