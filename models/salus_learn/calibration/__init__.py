"""Doubt: intervals, prediction sets and the operating threshold, from out-of-fold margins only."""
