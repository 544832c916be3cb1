"""`manage.py make_vault`: makes the bucket of the vault on the object store where it is not there yet."""

from __future__ import annotations

from typing import Any

from django.core.files.storage import storages
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Makes the place of the vault."""

    help = "Make the vault's bucket on the object store where it is not there yet. A vault in a folder needs nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        """Look, make, say."""
        storage = storages["vault"]
        if not hasattr(storage, "bucket_name"):
            self.stdout.write("The vault is a folder; there is nothing to make.")
            return
        client, name = storage.connection.meta.client, storage.bucket_name
        if name in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
            self.stdout.write(f"The bucket {name} is there.")
            return
        client.create_bucket(Bucket=name)
        self.stdout.write(f"The bucket {name} was made.")
