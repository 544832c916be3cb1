"""The workers: Celery tasks, the story of each job, rows to dataclasses, devices and model cache."""
