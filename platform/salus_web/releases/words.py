"""What the gate says when it is shut. No sentence tells how many people or who."""

from __future__ import annotations

from salus_web.cohorts.disclosure import SMALLEST

TOO_SMALL = f"Fewer than {SMALLEST} people are in this cohort, so nothing of it leaves."
TOO_CLOSE = (
    "Something was already released to this project, or to one that shares a member with it, of nearly the same people: "
    f"1 to {SMALLEST - 1} of them joined or left since. The two files together would tell of those few, so this one does not "
    "leave. Change the definition or wait until more people have joined or left."
)  # fmt: skip
TOO_CLOSE_TOGETHER = (
    "Some of what was already released to this project, or to one that shares a member with it, taken together with these "
    f"people, leaves 1 to {SMALLEST - 1} of them over. All these files together would tell of those few, so this one does not "
    "leave. Change the definition or wait until more people have joined or left."
)  # fmt: skip
TOO_MANY = (
    "So much was already released to this project, or to those that share a member with it, that nobody can say whether "
    "these files and those together would tell of a few people. So this one does not leave."
)  # fmt: skip
CHANGED = "Consents have changed since these files were made. Please refuse them and have them made anew."
CHANGED_SINCE_OUT = (
    "Consents have changed since these files were let out, so they are not handed out any more. Please delete your copies and "
    "ask for the files anew."
)  # fmt: skip
