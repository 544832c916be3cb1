"""Every shipped task trained on its data beside plain peers on the same folds, in one file of figures."""
