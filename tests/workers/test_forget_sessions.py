"""The beat that lets go of sessions that ran out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from salus_web.common.clock import now
from salus_web.jobs.celery import FORGET_SESSIONS, configure
from salus_workers.tasks.forget_sessions import forget_expired_sessions


@pytest.mark.django_db
def test_what_ran_out_goes_and_what_lives_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salus_workers.tasks.forget_sessions.close_old_connections", lambda: None)
    kept = []
    for left in (timedelta(hours=1), timedelta(hours=-1)):
        session = SessionStore()
        session["said"] = "words"
        session.set_expiry(now() + left)
        session.save()
        kept.append(session.session_key)
    forget_expired_sessions()
    assert list(Session.objects.values_list("session_key", flat=True)) == kept[:1]


def test_it_comes_by_itself() -> None:
    assert [one["schedule"] for one in configure().conf.beat_schedule.values() if one["task"] == FORGET_SESSIONS] == [3600.0]
