"""Other ways to fuse record and image, fitted on the same people as the additive chair and compared with it."""
