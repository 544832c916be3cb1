"""Celery tasks: each reads an id and calls one pipeline. No medicine."""
