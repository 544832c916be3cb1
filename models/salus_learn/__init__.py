"""Salus's pure library: how a risk is made, explained, doubted and judged. No Django, no Celery, no network."""
