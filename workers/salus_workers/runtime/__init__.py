"""Device, threads and the models a process holds."""
