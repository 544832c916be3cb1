"""Rows to dataclasses and back. No medicine, no decisions."""
