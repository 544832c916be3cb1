"""Studies, series, instances and their encrypted pixels."""
