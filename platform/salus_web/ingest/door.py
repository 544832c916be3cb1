"""What a body must be before anybody reads it: its size said and small enough, from somebody who may send it, at a pace, and
its files sealed as they come. Everything that is wrong with a body is answered here, in words, before a view runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError

from salus_web.accounts.demand import to_sign_in
from salus_web.accounts.permissions import can
from salus_web.accounts.proofs import factor_is_demanded, has_shown_factor
from salus_web.audit.services import Act, record
from salus_web.common.errors import NoRoom
from salus_web.common.pacing import was_too_slow
from salus_web.common.plain_pages import plain_page
from salus_web.common.trouble import FULL, check_room, is_disk_full
from salus_web.ingest.incoming import Incoming, TooLarge

TAKES_FILES = frozenset({"/uploads/"})
FORM_AROUND_BYTES = 1 << 20


class NoFiles(FileUploadHandler):
    """At every address but the door a file is read over and thrown away."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Not here."""
        raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Never called."""

    def file_complete(self, file_size: int) -> None:
        """Never called."""


class Sealing(FileUploadHandler):
    """At the door each file goes sealed into the vault while it is read."""

    chunk_size = 256 << 10

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        self.files: list[Incoming] = []

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """One more."""
        if field_name != "files":
            raise SkipFile
        self.files.append(Incoming(file_name))

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Its next bytes."""
        self.files[-1].write(raw_data)

    def file_complete(self, file_size: int) -> Any:
        """Whole."""
        self.files[-1].finish()
        return self.files[-1]

    def close(self) -> None:
        """What nobody kept leaves nothing."""
        for file in self.files:
            file.close()


class Door:
    """Before any view and before the check of forms: both would read a body to its end."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
            return plain_page(request, 411)
        size, takes = _said_size(request), _may_bring_files(request)
        if size is None:
            return plain_page(request, 400)
        if size > (settings.SALUS_UPLOAD_LIMIT_BYTES + FORM_AROUND_BYTES if takes else settings.SALUS_FORM_LIMIT_BYTES):
            return _too_large(request, takes)
        handler = Sealing(request) if takes else None
        if handler is not None:
            request.upload_handlers = [handler]  # type: ignore[list-item]
        try:
            return _read(request) or self.get_response(request)
        finally:
            if handler is not None:
                handler.close()


def _said_size(request: HttpRequest) -> int | None:
    """The declared length; None for what is no length."""
    said = request.META.get("CONTENT_LENGTH") or "0"
    return int(said) if said.isdecimal() and len(said) < 16 else None


def _may_bring_files(request: HttpRequest) -> bool:
    """Whether this is the door and this person may pass it; the view asks again."""
    actor = request.actor  # type: ignore[attr-defined]
    if request.method != "POST" or request.path not in TAKES_FILES or not can(actor, "upload.create"):
        return False
    return not factor_is_demanded() or has_shown_factor(request)


def _too_large(request: HttpRequest, takes: bool) -> HttpResponse:
    """Refused by its declared length; not a byte of it is read."""
    actor = request.actor  # type: ignore[attr-defined]
    if actor.is_anonymous and request.path in TAKES_FILES:
        return to_sign_in(request)
    if takes:
        return _past_limit(request)
    return plain_page(request, 413)


def _past_limit(request: HttpRequest) -> HttpResponse:
    """Past the limit, by its declared length or by what came: on the log either way."""
    record(Act("upload.receive", "upload", outcome="refused", detail={"why": "too large"}), by=request.actor)  # type: ignore[attr-defined]
    limit = settings.SALUS_UPLOAD_LIMIT_BYTES >> 20
    return plain_page(request, 413, reason=f"At most {limit} MB are taken at once, and a file of more is refused. Nothing was kept.")


def _read(request: HttpRequest) -> HttpResponse | None:
    """Read the form and its files; the answer to a body that is not whole, else None. Other bodies are for the view."""
    if request.method != "POST":
        return None
    try:
        if isinstance(request.upload_handlers[0], Sealing):
            check_room(_said_size(request) or 0)
        _ = request.POST
    except UnreadablePostError as error:
        return plain_page(request, 408 if was_too_slow(error) else 400)
    except TooLarge:
        return _past_limit(request)
    except RequestDataTooBig:
        return plain_page(request, 413)
    except (MultiPartParserError, TooManyFieldsSent, TooManyFilesSent):
        return plain_page(request, 400)
    except NoRoom as problem:
        return plain_page(request, 507, reason=str(problem))
    except OSError as error:
        if not is_disk_full(error):
            raise
        return plain_page(request, 507, reason=FULL)
    return None
