"""Finds what would flatter a model: the same image under two people, columns that give the answer away, sources that predict it."""
