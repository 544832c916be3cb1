"""Salus tests."""
