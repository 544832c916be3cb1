"""How good a model is, with an interval and an n beside every figure."""
