"""The model report: one set of figures, written as JSON, as a self-contained page and as a PDF."""
