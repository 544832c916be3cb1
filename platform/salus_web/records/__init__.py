"""Patients and what is recorded about them."""
