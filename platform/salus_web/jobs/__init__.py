"""The hatch to the workers: job rows, outbox, leases and the one Celery object."""
