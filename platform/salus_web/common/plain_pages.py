"""Pages of our own for what went wrong: what happened, what is safe, what to do. Made without asking the database, without
the person's frame and without a word of the error, so that they can be shown when nothing else can."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

API = "/api/"
SAFE = "Nothing you entered was stored half way."
# status: what happened, what is safe and what to do
WORDS: dict[int, tuple[str, str, str]] = {
    400: ("This could not be understood", "What your browser sent was cut short or malformed. Nothing was changed.",
          "Please open the page again and try once more."),
    403: ("This is not allowed", "Nothing was changed.", "Please go back, open the page again and try once more."),
    408: ("This took too long to arrive", "The sending stopped or was too slow, so it was given up. Nothing of it was kept.",
          "Please try again from a place with a better connection, or in smaller parts."),
    411: ("This came without its size", "Files and forms must say how large they are. Nothing of it was kept.",
          "A browser does this by itself; a program must send a Content-Length."),
    413: ("This is too large", "It was refused before it was read. Nothing of it was kept.", "Please send it in smaller parts."),
    429: ("Too many requests at once", "Nothing was changed, and nothing is wrong with the record.", "Please wait a moment; then try again."),
    500: ("Something went wrong", SAFE, "Please try again; if it happens again, tell IT the time it happened."),
    503: ("Salus cannot answer at this moment", SAFE, "Please try again in a minute; if it goes on, call IT."),
    507: ("There is no room left", "Nothing of it was kept. What is stored already can be read.", "Please call IT; try again when they have made room."),
}  # fmt: skip


def plain_page(
    request: HttpRequest | None, status: int, *, reason: str = "", retry_seconds: int | None = None, mark: str = ""
) -> HttpResponse:
    """The page of this status; `reason` stands in place of its middle sentence and must hold nothing of a patient.

    Programs get the same as JSON. `mark` is one word for IT. `retry_seconds` becomes Retry-After.
    """
    title, middle, todo = WORDS[status]
    if request is not None and request.path.startswith(API):
        answer: HttpResponse = JsonResponse({"problem": f"{title}. {reason or middle}"}, status=status)
    else:
        said = {"title": title, "middle": reason or middle, "todo": todo, "mark": mark, "status": status}
        answer = HttpResponse(render_to_string("wrong.html", said), status=status)
    if retry_seconds is not None:
        answer.headers["Retry-After"] = str(max(1, retry_seconds))
    answer.headers["Cache-Control"] = "no-store, private"
    return answer
