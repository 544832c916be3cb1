"""Task files are kept once; a bundle moves only along its arrows, by a second person, and every step is kept."""

from __future__ import annotations

from typing import Any

import pytest
from salus_web.accounts.actors import Actor
from salus_web.audit.models import Event
from salus_web.common import vault
from salus_web.common.errors import LogNotWritten, Refused, StateConflict
from salus_web.registry.models import BundleState, BundleStep, ModelBundle, TaskFile
from salus_web.registry.selectors import bundle_for, bundles, live_bundle, tasks
from salus_web.registry.services import move_bundle, register_task_file, store_bundle

from tests.factories.hospital import make_bundle
from tests.factories.people import SYSTEM, actor_of, make_site, make_user

pytestmark = pytest.mark.django_db
CANDIDATE, LIVE, RETIRED, WITHDRAWN = "candidate", "live", "retired", "withdrawn"
ARROWS = {
    (CANDIDATE, LIVE), (CANDIDATE, WITHDRAWN), (LIVE, RETIRED), (LIVE, WITHDRAWN), (RETIRED, LIVE), (RETIRED, WITHDRAWN),
}  # fmt: skip
PAIRS = [(before, after) for before in BundleState.values for after in [*BundleState.values, "nonsense"]]


@pytest.fixture
def administrator() -> Actor:
    return actor_of(make_user("administrator", make_site()))


def state_of(bundle: ModelBundle) -> str:
    return ModelBundle.objects.get(pk=bundle.pk).state


def task_file(**changes: str) -> TaskFile:
    values = {"text": "[task]", "task_id": "t1", "title": "One", "digest": "a" * 64}
    return register_task_file(**(values | changes), by=SYSTEM)


def stored(task: TaskFile, *, by: Any = SYSTEM, card: dict[str, Any] | None = None) -> ModelBundle:
    return store_bundle(digest="b" * 64, task=task, archive=b"the files", card=card or {"a": 1}, crossval={"n": 3}, by=by)


def of_another_task(state: str) -> ModelBundle:
    bundle = make_bundle(state)
    bundle.task = task_file(task_id="another", digest="c" * 64)
    bundle.save()
    return bundle


def test_the_same_task_file_is_kept_once_as_it_came_first(administrator: Actor) -> None:
    first = task_file()
    again = register_task_file(text="[other]", task_id="t1", title="Two", digest="a" * 64, by=administrator)
    kept = TaskFile.objects.get()
    assert again.pk == first.pk == kept.pk
    assert (kept.text, kept.title, kept.loaded_by) == ("[task]", "One", SYSTEM.id)
    line = Event.objects.get(action="task.register")
    assert (line.actor_id, line.object_id, line.detail) == (SYSTEM.id, str(first.pk), {"task": "t1"})


def test_a_changed_task_file_is_another_one() -> None:
    assert task_file().pk != task_file(digest="e" * 64).pk
    assert Event.objects.filter(action="task.register").count() == 2


def test_a_stored_bundle_is_a_candidate_whose_files_come_back(administrator: Actor) -> None:
    bundle = stored(task_file(), by=administrator)
    kept = ModelBundle.objects.get()
    assert (kept.state, kept.trained_by, kept.card, kept.crossval) == (CANDIDATE, administrator.id, {"a": 1}, {"n": 3})
    assert vault.get(kept.blob_key, sha256=kept.blob_sha256) == b"the files"
    assert Event.objects.get(action="bundle.store").object_id == str(bundle.pk)


def test_the_same_bundle_is_kept_once_as_it_came_first(administrator: Actor) -> None:
    first = stored(task_file())
    again = stored(first.task, by=administrator, card={"a": 2})
    kept = ModelBundle.objects.get()
    assert again.pk == first.pk and (kept.card, kept.trained_by) == ({"a": 1}, SYSTEM.id)
    assert Event.objects.filter(action="bundle.store").count() == 1


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_bundle_moves_along_its_arrows_only(administrator: Actor, before: str, after: str) -> None:
    bundle = make_bundle(before)
    if (before, after) in ARROWS:
        assert move_bundle(bundle=bundle, to_state=after, why="because", by=administrator).state == after
        assert state_of(bundle) == after
        return
    with pytest.raises(StateConflict):
        move_bundle(bundle=bundle, to_state=after, why="because", by=administrator)
    assert state_of(bundle) == before
    assert not BundleStep.objects.exists() and not Event.objects.filter(action="bundle.move").exists()


def test_a_move_is_decided_on_the_stored_state_not_on_the_one_in_hand(administrator: Actor) -> None:
    bundle = make_bundle(CANDIDATE)
    ModelBundle.objects.update(state=WITHDRAWN)
    with pytest.raises(StateConflict):
        move_bundle(bundle=bundle, to_state=LIVE, why="an old page", by=administrator)
    assert state_of(bundle) == WITHDRAWN


@pytest.mark.parametrize("before", [CANDIDATE, RETIRED])
def test_nobody_makes_live_what_they_trained(administrator: Actor, before: str) -> None:
    bundle = make_bundle(before)
    ModelBundle.objects.update(trained_by=administrator.id)
    with pytest.raises(Refused, match="second person"):
        move_bundle(bundle=bundle, to_state=LIVE, why="mine is best", by=administrator)
    assert state_of(bundle) == before and not BundleStep.objects.exists()
    second = actor_of(make_user("administrator", make_site()))
    assert move_bundle(bundle=bundle, to_state=LIVE, why="I looked at it", by=second).state == LIVE


def test_who_trained_a_bundle_may_withdraw_it_alone(administrator: Actor) -> None:
    bundle = make_bundle(LIVE)
    ModelBundle.objects.update(trained_by=administrator.id)
    move_bundle(bundle=bundle, to_state=WITHDRAWN, why="it is wrong", by=administrator)
    assert state_of(bundle) == WITHDRAWN and live_bundle("t48") is None


@pytest.mark.parametrize("role", ["clinician", "researcher", "auditor"])
def test_only_an_administrator_moves_a_bundle(role: str) -> None:
    bundle = make_bundle(CANDIDATE)
    with pytest.raises(Refused, match="role"):
        move_bundle(bundle=bundle, to_state=LIVE, why="I would like it", by=actor_of(make_user(role, make_site())))
    assert state_of(bundle) == CANDIDATE


def test_making_one_live_retires_the_other_of_its_task_and_no_other(administrator: Actor) -> None:
    old, rejected, new = make_bundle(LIVE), make_bundle(CANDIDATE), make_bundle(CANDIDATE)
    elsewhere = of_another_task(LIVE)
    move_bundle(bundle=new, to_state=LIVE, why="better", by=administrator)
    assert [state_of(bundle) for bundle in (old, rejected, new, elsewhere)] == [RETIRED, CANDIDATE, LIVE, LIVE]
    speaks = live_bundle("t48")
    assert speaks is not None and speaks.pk == new.pk


def test_one_trained_on_an_older_version_of_the_task_file_retires_too(administrator: Actor) -> None:
    old, new = of_another_task(LIVE), make_bundle(CANDIDATE)
    new.task = task_file(task_id="another", digest="f" * 64)
    new.save()
    move_bundle(bundle=new, to_state=LIVE, why="the file was changed", by=administrator)
    assert (state_of(old), state_of(new)) == (RETIRED, LIVE)


def test_every_step_is_kept_and_logged_with_its_person(administrator: Actor) -> None:
    old, new = make_bundle(LIVE), make_bundle(CANDIDATE)
    move_bundle(bundle=new, to_state=LIVE, why="better calibrated", by=administrator)
    move_bundle(bundle=new, to_state=WITHDRAWN, why="an alarm was missed", by=administrator)
    steps = BundleStep.objects.order_by("at").values_list("bundle_id", "from_state", "to_state", "why")
    assert list(steps) == [
        (old.pk, LIVE, RETIRED, "another bundle of the task was made live"),
        (new.pk, CANDIDATE, LIVE, "better calibrated"),
        (new.pk, LIVE, WITHDRAWN, "an alarm was missed"),
    ]
    assert set(BundleStep.objects.values_list("by", "by_name")) == {(administrator.id, administrator.name)}
    logged = Event.objects.filter(action="bundle.move").order_by("number").values_list("object_id", "detail", "actor_id")
    moves = [(old, RETIRED), (new, LIVE), (new, WITHDRAWN)]
    assert list(logged) == [(str(bundle.pk), {"to": to}, administrator.id) for bundle, to in moves]


def test_a_move_that_cannot_be_logged_does_not_happen(administrator: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = make_bundle(LIVE), make_bundle(CANDIDATE)

    def refuse(act: Any, *, by: Any) -> None:
        if act.object_id == str(new.pk):
            raise LogNotWritten("The log is full.")

    monkeypatch.setattr("salus_web.registry.services.record", refuse)
    with pytest.raises(LogNotWritten):
        move_bundle(bundle=new, to_state=LIVE, why="better", by=administrator)
    assert (state_of(old), state_of(new)) == (LIVE, CANDIDATE) and not BundleStep.objects.exists()


def test_bundles_are_read_newest_first_by_those_who_may(administrator: Actor) -> None:
    first, second = make_bundle(CANDIDATE), make_bundle(LIVE)
    assert [row.pk for row in bundles(viewer=administrator)] == [second.pk, first.pk]
    found = bundle_for(viewer=administrator, bundle_id=first.pk)
    assert found is not None and found.pk == first.pk
    with pytest.raises(Refused):
        bundles(viewer=actor_of(make_user("auditor", make_site())))


def test_only_tasks_with_a_bundle_are_offered_under_their_newest_title() -> None:
    task_file(task_id="alone", digest="1" * 64)
    make_bundle(CANDIDATE)
    renamed = make_bundle(CANDIDATE)
    renamed.task = task_file(task_id="t48", title="Renamed", digest="2" * 64)
    renamed.save()
    assert tasks() == [("t48", "Renamed")]
