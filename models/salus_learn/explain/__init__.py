"""Reasons that add up: terms of the margin become percentage points of risk."""
