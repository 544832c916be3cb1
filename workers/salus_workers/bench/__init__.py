"""What `./salus bench` measures, each figure as a ratio to a plain limit in the same run."""
