"""From snapshots to explained risks."""
