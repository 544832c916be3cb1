"""Commands of the backups app."""
