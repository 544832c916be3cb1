"""The story of each job, one file per kind."""
