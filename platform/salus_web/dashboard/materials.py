"""What Salus is made of, as a CycloneDX 1.6 document (a software bill of materials): every package of the lock as it is installed
here, with version, licence, what needs it and the digest of its list of files; and every file of a third party in the repository.

The lock holds no digests of archives (one machine's archive of torch is not another's), so a package is named by the digest of
its installed RECORD, which lists the digest of each of its files. Source: CycloneDX specification 1.6 (ECMA-424).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

VENDORED = Path("platform/salus_web/dashboard/static/salus/vendor")
# files of others that lie in the repository: the name's beginning, project, SPDX licence
FILES = {"htmx-": ("htmx", "0BSD")}
# what packages call their licence, and its SPDX name
SPDX = {
    "MIT": "MIT", "MIT License": "MIT", "BSD": "BSD-3-Clause", "BSD License": "BSD-3-Clause", "BSD-3-Clause": "BSD-3-Clause", "BSD-2-Clause": "BSD-2-Clause",
    "Apache Software License": "Apache-2.0", "Apache-2.0": "Apache-2.0", "Apache License 2.0": "Apache-2.0", "Apache 2.0": "Apache-2.0",
    "ISC License (ISCL)": "ISC", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0", "MPL-2.0": "MPL-2.0", "PSF-2.0": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0", "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-2.0-or-later",
}  # fmt: skip


class NotInstalled(Exception):
    """A package of the lock is not here, or in another version."""


def bill(root: Path, *, version: str, made_at: datetime, lock: str = "requirements/core.lock") -> dict[str, Any]:
    """The document for this checkout. Raises NotInstalled where what is installed is not what the lock says."""
    packages = dict(locked(root / lock))
    components = [_package(name, number) for name, number in sorted(packages.items())]
    components += [_file(path) for path in sorted((root / VENDORED).iterdir()) if path.is_file()]
    ours = {"type": "application", "bom-ref": "salus", "name": "salus", "version": version, "licenses": [{"license": {"id": "Apache-2.0"}}]}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, repr(components))}",
        "metadata": {"timestamp": made_at.isoformat(), "component": ours},
        "components": components,
        "dependencies": [{"ref": "salus", "dependsOn": [one["bom-ref"] for one in components]}, *_needs(packages)],
    }  # fmt: skip


def locked(lock: Path) -> Iterator[tuple[str, str]]:
    """Name and version of every package of a lock file."""
    for line in lock.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"^([A-Za-z0-9._-]+)==([^\s;]+)", line):
            yield found[1].lower(), found[2]


def licence_of(package: Distribution) -> str:
    """SPDX where the package says it in a way that is known, else its own words, else `not stated`."""
    said = package.metadata
    if expression := _word(package, "License-Expression"):
        return expression
    classed = [line.rpartition(" :: ")[2] for line in said.get_all("Classifier") or [] if line.startswith("License ::") and line.count("::") > 1]
    words = classed or [_word(package, "License").strip().split("\n")[0][:80]]
    return " AND ".join(dict.fromkeys(SPDX.get(word, word) for word in words if word)) or "not stated"


def _word(package: Distribution, field: str) -> str:
    """One field of what a package says of itself, or nothing."""
    return str((package.metadata.get_all(field) or [""])[0])


def _package(name: str, number: str) -> dict[str, Any]:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        raise NotInstalled(f"{name} {number} is in the lock and not installed. Run ./salus up or ./salus test first.") from None
    here = found.version.partition("+")[0]
    if here != number:
        raise NotInstalled(f"{name} is installed as {found.version}; the lock says {number}.")
    licence, record = licence_of(found), found.read_text("RECORD") or ""
    spdx = licence in SPDX.values() or bool(_word(found, "License-Expression"))
    return {
        "type": "library", "bom-ref": f"pkg:pypi/{name}@{number}", "name": name, "version": number, "purl": f"pkg:pypi/{name}@{number}",
        "description": _word(found, "Summary")[:200],
        "licenses": [{"expression": licence} if spdx else {"license": {"name": licence}}],
        "properties": [{"name": "salus:record-sha256", "value": hashlib.sha256(record.encode()).hexdigest()}],
    }  # fmt: skip


def _file(path: Path) -> dict[str, Any]:
    """A file of somebody else's in the repository. Raises NotInstalled for one of which nobody has said whose it is."""
    for beginning, (project, licence) in FILES.items():
        if path.name.startswith(beginning):
            number = path.name.removeprefix(beginning).removesuffix(".min.js")
            return {
                "type": "library", "bom-ref": f"pkg:npm/{project}@{number}", "name": project, "version": number,
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
                "licenses": [{"license": {"id": licence}}],
            }  # fmt: skip
    raise NotInstalled(f"Nobody has said whose {path.name} is and under what licence (dashboard/materials.py).")


def _needs(packages: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Which packages of the lock each one needs."""
    for name, number in sorted(packages.items()):
        wanted = {re.split(r"[\s<>=!~;\[(]", line, maxsplit=1)[0].lower().replace("_", "-") for line in distribution(name).requires or []}
        there = sorted(other for other in packages if other.replace("_", "-") in wanted and other != name)
        yield {"ref": f"pkg:pypi/{name}@{number}", "dependsOn": [f"pkg:pypi/{other}@{packages[other]}" for other in there]}
