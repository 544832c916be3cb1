"""Screens that join apps."""
