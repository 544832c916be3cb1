"""Ids, clock, encryption and base errors, shared by every app. No medicine."""
