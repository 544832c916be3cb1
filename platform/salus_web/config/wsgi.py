"""The WSGI entry for gunicorn."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from salus_web.common import wall
from salus_web.common.late import late
from salus_web.common.pacing import paced

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "salus_web.config.settings.production")
application = late(paced(get_wsgi_application()))
wall.begin_as_nobody()
# every page is loaded before the first request; what is loaded stays, so no collection walks it again (a tenth of a second each)
get_resolver().url_patterns  # noqa: B018 - reading it loads them
gc.collect()
gc.freeze()
