"""The WSGI entry for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

from salus_web.common import wall

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "salus_web.config.settings.production")
application = get_wsgi_application()
wall.begin_as_nobody()
