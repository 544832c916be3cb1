"""Pure readers of other systems' forms: bytes in, typed records out. No Django, no database."""
