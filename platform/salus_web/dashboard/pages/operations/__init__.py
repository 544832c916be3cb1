"""What the operations page shows, part by part. Nothing on it is green because it could not be read."""
