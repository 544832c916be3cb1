"""Getting to a patient one does not care for yet: breaking the glass, and requests that lapse."""
