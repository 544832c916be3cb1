"""`manage.py add_person USERNAME --name NAME --role ROLE [--site CODE]`: the first people of an installation."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from salus_web.accounts.actors import system
from salus_web.accounts.models import Role
from salus_web.accounts.services import create_user, grant_role
from salus_web.accounts.sites import site_called
from salus_web.common.errors import SalusError

BY = system("command line")


class Command(BaseCommand):
    """Adds a person with a role and prints a password made for them."""

    help = "Add a person with a role at a hospital; prints a password made for them, once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Who, as what, where."""
        parser.add_argument("username")
        parser.add_argument("--name", required=True)
        parser.add_argument("--role", required=True, choices=Role.values)
        parser.add_argument("--site", default="", help="the hospital's code")

    def handle(self, *args: Any, **options: Any) -> None:
        """One transaction: a person without a role is never left behind."""
        password = secrets.token_urlsafe(12)
        try:
            with transaction.atomic():
                site = site_called(options["site"], by=BY)
                user = create_user(username=options["username"], display_name=options["name"], password=password, by=BY)
                grant_role(user=user, site=site, role=options["role"], by=BY)
        except SalusError as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(f"{user.display_name}, {options['role']} at {site.name}. Password, shown once: {password}")
