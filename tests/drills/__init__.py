"""Drills: harm done on purpose, and what is found of it. Marked `drill`; `./salus drill` runs the long ones."""
