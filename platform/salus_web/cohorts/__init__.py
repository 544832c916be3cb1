"""Cohort definitions, safe counts and analyses."""
