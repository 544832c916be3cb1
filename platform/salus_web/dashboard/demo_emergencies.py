"""Two emergency accesses of the demonstration, so that their pages are not empty: one reviewed and closed, one to review.

Made through the services, by the people of the demonstration, to simulated patients.
"""

from __future__ import annotations

from salus_web.access.models import BreakGlass
from salus_web.access.services import break_glass, hand_back, review
from salus_web.accounts.actors import Actor, system
from salus_web.accounts.models import Site, User
from salus_web.accounts.selectors import actor_for_user
from salus_web.records.models import Patient
from salus_web.records.scopes import live_relations
from salus_web.records.selectors import open_patient

BY = system("demo")
# hospital, who broke the glass, reason, text, and what the auditor found ("" leaves it to review)
STORIES = (
    ("st-anne", "clinician", "called", "Called to the corridor to a patient of another ward who had fainted.",
     "The ward confirms that it called her; the record was open for as long as that took."),
    ("harbour", "clinician-harbour", "result", "The laboratory telephoned a potassium of 6.9 and nobody of the ward answered.", ""),
)  # fmt: skip


def show_emergencies() -> int:
    """Make what is lacking of the two; returns how many were made. A hospital where everybody is in care gets none."""
    made = 0
    for code, username, reason, text, finding in STORIES:
        site, actor = Site.objects.get(code=code), actor_for_user(User.objects.get(username=username))
        if not BreakGlass.objects.for_actor(BY).filter(user_id=actor.id).exists():
            made += _tell(site, actor, reason, text, finding)
    return made


def _tell(site: Site, actor: Actor, reason: str, text: str, finding: str) -> int:
    """One story: broken, looked at, handed back, and reviewed where the story goes so far."""
    strangers = Patient.objects.for_actor(BY).filter(site=site, is_simulated=True)
    patient = strangers.exclude(pk__in=live_relations(actor).values("patient_id")).order_by("created_at", "pk").first()
    if patient is None or break_glass(site_id=str(site.pk), mrn=patient.mrn, reason_code=reason, reason=text, by=actor) is None:
        return 0
    open_patient(patient_id=patient.pk, viewer=actor, looking_at="patient")
    glass = BreakGlass.objects.for_actor(BY).get(user_id=actor.id, patient=patient)
    hand_back(glass_id=glass.pk, by=actor)
    if finding:
        auditor = actor_for_user(User.objects.get(username="auditor"))
        review(glass_id=glass.pk, verdict="justified", finding=finding, by=auditor)
    return 1
