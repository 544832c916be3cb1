"""The report's plain form told as sections. The order: what and of whom, how good, how sure, for whom, beside whom."""

from __future__ import annotations

from typing import Any

from salus_learn.contracts import JUDGES
from salus_learn.evaluation.within import WITHIN
from salus_learn.reporting.blocks import Cell, Photo, Pictures, Prose, Section, Sliders, Table
from salus_learn.reporting.charts import (
    calibration_chart,
    calibration_table,
    counted,
    decision_chart,
    decision_table,
    forest_chart,
    histogram_chart,
    roc_chart,
    series_chart,
)
from salus_learn.reporting.verdicts import verdicts
from salus_learn.reporting.words import (
    ARM_WORDS,
    FIGURE_WORDS,
    NOT_APPLICABLE,
    cell,
    guarded,
    lost_said,
    number,
    people,
    percent,
    sentence,
    span,
)

ALONE = "These intervals take cases as independent; some people have several, so they are narrower than those of the table above, which count people."
ONE_ARM = "There is one arm, so nothing is fused: the risk is what this arm says, calibrated."
OF_TABLE = (("Of the table, not judged", "left_out"), ("Taken for without the outcome", "taken"))
LONGEST_WORDS = 30  # a cell of more letters is a sentence and reads from the left
EXTRA_TITLES = {
    "kinds": ("Which kind", "the task names no kinds of the outcome, or one has too few people"),
    "chairs": ("Ways to fuse, compared", "the same margins fused in other ways"),
    "missing_modality": ("When a part is missing", "figures with the record or the image taken away"),
    "corruption": ("When the image is poor", "figures on noisy, blurred or darkened images"),
    "deletion": ("Do the maps point at what counts", "risk while the marked pixels are taken out or put in"),
    "random_weights": ("Do the maps follow the model", "maps of a network with random weights beside the true ones"),
    "more_people": ("Would more people help", "the same model from fewer people"),
    "learning_curve": ("How the encoder learned", "only where the encoder is tuned"),
    "leaks": ("Leaks looked for", "people or images that stand on both sides of a split"),
    "augmentation": ("How pictures are varied while the encoder learns", "only for tasks with images"),
}  # fmt: skip


def sections(report: dict[str, Any]) -> list[Section]:
    """All sections of a report, in reading order."""
    return [
        Section("glance", "At a glance", tuple(Prose(text, "state") for text in verdicts(report))),
        _figures(report), _calibration(report), _matrix(report), _decision(report), _subgroups(report),
        _coverage(report), _claims(report), _extra(report), _methods(report),
    ]  # fmt: skip


def facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The head: what is predicted, of whom, for what and for what not."""
    task, who = report["task"], report["people"]
    held = f"{people(who['n'])} cases of {people(who['persons'])} people, {task['origin']}"
    return [
        ("Predicts", f"{task['outcome']}, within {task['horizon_days']:g} days" if task["horizon_days"] else task["outcome"]),
        *((words, task[key] or "not stated") for words, key in (("Of whom", "who"), ("For", "use"), ("Not for", "not_for"))),
        ("Judged on", held + (f"; {people(who['without_fused'])} without a fused risk" if who["without_fused"] else "")),
        *((words, "; ".join(f"{people(n)} {said}" for said, n in task[part])) for words, part in OF_TABLE if task[part]),
        *([("Lost before the horizon", lost_said(task))] if task["lost"] else []),
        ("With the outcome", f"{people(who['events'])} of {people(who['n'])}: {percent(who['prevalence']['value'])} "
         f"(95 % interval {100 * who['prevalence']['low']:.1f}–{100 * who['prevalence']['high']:.1f})"),
    ]  # fmt: skip


def _figures(report: dict[str, Any]) -> Section:
    arms = report["arms"]
    head = tuple(ARM_WORDS[arm] for arm in arms)
    judged = tuple(Cell(people(arm["n"]), f"{people(arm['events'])} with the outcome") for arm in arms.values())
    rows = [(Cell(counted(report)), *judged)]
    for name, word in FIGURE_WORDS.items():
        rows.append((Cell(word, arms["fused"][name]["method"]), *(cell(name, arm[name]) for arm in arms.values())))
    across = tuple(range(1, len(head) + 1))
    blocks: list[Any] = [
        Table("Every figure with its 95 % interval and the n it was taken of", ("figure", *head), tuple(rows), across),
    ]  # fmt: skip
    if report["differences"]:
        blocks.append(_differences(report))
    elif sum(arm in arms for arm in JUDGES) == 1:
        blocks.append(Prose(ONE_ARM))
    blocks.append(Pictures(((roc_chart(report), None),)))
    return Section("figures", "Figures", tuple(blocks))


def _differences(report: dict[str, Any]) -> Table:
    rows = tuple(
        (Cell(f"fused minus {ARM_WORDS[row['arm']]}"), Cell(people(row["n"]), f"{people(row['events'])} with the outcome"),
         _signed(row["auroc"]), _signed(row["brier"]))
        for row in report["differences"]
    )  # fmt: skip
    columns = ("pair, on the same people", counted(report), "AUROC (above 0: fused better)", "Brier (below 0: fused better)")
    return Table("Fused minus each single arm, paired", columns, rows, (1, 2, 3))


def _signed(figure: dict[str, Any]) -> Cell:
    if figure["value"] is None:
        return cell("auroc", figure)
    sign = "+" if figure["value"] > 0 else ""
    return Cell(sign + number(figure["value"]), f"{span('auroc', figure)} · n {people(figure['n'])}")


def _calibration(report: dict[str, Any]) -> Section:
    fused = report["arms"]["fused"]
    text = (
        f"Slope {sentence('calibration_slope', fused['calibration_slope'])}; 1 is right, under 1 is over-confident. "
        f"Intercept {sentence('calibration_intercept', fused['calibration_intercept'])}; 0 is right, above 0 the risks given are too low. "
        f"{lost_said(report['task'])}"
    ).strip()
    charts = ((calibration_chart(report), calibration_table(report)), (histogram_chart(report), None))
    return Section("calibration", "Do the risks mean what they say", (Prose(text), Pictures(charts)))


def _matrix(report: dict[str, Any]) -> Section:
    counts = report["matrix"]["fused"]["operating"]
    tp, fp, fn, tn = (counts[name] for name in ("tp", "fp", "fn", "tn"))
    fused = report["arms"]["fused"]
    rows = (
        (Cell("flagged"), Cell(people(tp), "found"), Cell(people(fp), "false alarm"), Cell(people(tp + fp)), cell("ppv", fused["ppv"])),
        (Cell("not flagged"), Cell(people(fn), "missed"), Cell(people(tn), "rightly left"), Cell(people(fn + tn)), cell("npv", fused["npv"])),
        (Cell("all"), Cell(people(tp + fn)), Cell(people(fp + tn)), Cell(people(tp + fp + fn + tn)), cell("accuracy", fused["accuracy"])),
        (Cell("share right"), cell("sensitivity", fused["sensitivity"]), cell("specificity", fused["specificity"]), Cell("–"), Cell("–")),
    )  # fmt: skip
    threshold = report["task"]["threshold"]
    at = "The operating point was set on training people only, within each fold."
    at += f" The served model flags from {percent(threshold)}." if threshold is not None else ""
    silent = [ARM_WORDS[arm] for arm in report["arms"] if arm in report["task"]["uncalibrated"]]
    at += f" Not to be moved here, as they only rank people: {'; '.join(silent)}." if silent else ""
    table = Table(
        "Fused risk at the operating point", ("", "with the outcome", "without", "all", "right among them"), rows, (1, 2, 3, 4)
    )
    arms = {arm: {"label": ARM_WORDS[arm]} | body for arm, body in report["matrix"].items()}
    who = report["people"]
    moving = Sliders(arms, report["task"]["outcome"], who["prevalence"]["value"], ALONE if who["persons"] < who["n"] else "")
    return Section("matrix", "Confusion matrix", (Prose(at), table, moving))


def _decision(report: dict[str, Any]) -> Section:
    text = (
        "Net benefit counts true positives and takes off false ones, at the price the threshold sets: who acts from 10 % "
        "takes nine false alarms for one found. A model is worth having where its line stands above both others."
    )
    chart = Pictures(((decision_chart(report), decision_table(report)),))
    return Section("decision", "Is it worth acting on", (Prose(text), chart))


def _subgroups(report: dict[str, Any]) -> Section:
    body = report["subgroups"]
    rows = body["rows"]
    if not rows:
        return Section("subgroups", "For whom it works", (Prose("✕ not measured: no groups were given.", "state"),))
    guard = (
        f"A group with fewer than {body['least_people']} people, or fewer than {body['least_of_either_outcome']} with or "
        f"without the outcome, gets no figure. {len(rows)} groups were looked at: with 95 % intervals, about one in twenty "
        "leaves out the truth by chance alone."
    )
    names = ("auroc", "sensitivity", "specificity", "brier", "calibration_intercept", "coverage", "abstained")
    heads = ("AUROC", "sensitivity", "specificity", "Brier", "calibration intercept", "in its 90 % set", "abstained")
    filled = tuple(_subgroup_row(row, names) for row in rows)
    table = Table(
        "Fused risk by subgroup, 95 % intervals", ("group", "n", "events", *heads), filled, tuple(range(1, 10))
    )
    forests = [("auroc", "AUROC"), ("sensitivity", "Sensitivity"), ("specificity", "Specificity")]
    charts = tuple((forest_chart(report, name, title), None) for name, title in forests)
    return Section("subgroups", "For whom it works", (Prose(guard), Pictures(charts), table))


def _subgroup_row(row: dict[str, Any], names: tuple[str, ...]) -> tuple[Cell, ...]:
    head = (Cell(f"{row['group']}: {row['value']}"), Cell(guarded(row["n"])), Cell(guarded(row["events"])))
    if row["state"] != "computed":
        return (*head, *(Cell("◐ " + (row["state"] if name == "auroc" else "too few"), quiet=True) for name in names))
    return (*head, *(cell(name, row[name]) for name in names))


def _coverage(report: dict[str, Any]) -> Section:
    body = report["coverage"]
    rows = [
        (Cell("everybody"), cell("coverage", body["overall"])),
        (Cell("those with the outcome"), cell("coverage", body["with_outcome"])),
        (Cell("those without it"), cell("coverage", body["without_outcome"])),
    ]
    sizes = tuple((Cell(word), cell("coverage", figure)) for word, figure in body["sizes"].items())
    width = body["interval_width"]
    wide = "The width of the 90 % interval was not measured."
    if width["value"] is not None:
        wide = (
            f"The 90 % interval of the fused risk is {100 * width['value']:.0f} points wide in the middle "
            f"(middle half of people {100 * width['low']:.0f}–{100 * width['high']:.0f}, n {people(width['n'])})."
        )
    text = (
        f"Each person gets the set of answers that cannot be excluded; {percent(body['promise'], 0)} of sets should hold what "
        f"came, in either group. Abstained: {sentence('abstained', body['abstained'])}. {wide}"
    )
    return Section(
        "coverage", "Does it know when it does not know",
        (
            Prose(text),
            Table("The 90 % set holds what came, 95 % intervals", ("of", "share held"), tuple(rows), (1,)),
            Table("How many answers the set holds", ("the set holds", "share of people"), sizes, (1,)),
        ),
    )  # fmt: skip


def _claims(report: dict[str, Any]) -> Section:
    text = (
        "Published figures in the same columns as our own. A figure without n, prevalence and interval cannot be compared; "
        "where n is stated, Wilson's interval is worked out here."
    )
    columns = ("source", "task", "figure", "value", "n", "prevalence", "95 % interval", "can it be checked", "note")
    rows = tuple(_claim_row(row) for row in report["claims"])
    return Section("claims", "Claim checker", (Prose(text), Table("Our figures and published ones", columns, rows, (3, 4, 5, 6))))


def _claim_row(row: dict[str, Any]) -> tuple[Cell, ...]:
    area = row["figure"] == "AUROC"
    interval = row["interval"]
    if isinstance(interval, dict):
        low, high = interval["low"], interval["high"]
        words = f"{number(low)}–{number(high)}" if area else f"{100 * low:.1f}–{100 * high:.1f}"
        bounds = Cell(words, f"{interval['by']}" + (f", n {people(interval['n'])}" if "n" in interval else ""))
    else:
        bounds = Cell(str(interval), quiet=True)
    n, prevalence = row["n"], row["prevalence"]
    return (
        Cell(row["source"]), Cell(row["task"]), Cell(row["figure"]),
        Cell(number(row["value"]) if area else percent(row["value"])),
        Cell(people(n)) if isinstance(n, int) else Cell(n, quiet=True),
        Cell(percent(prevalence)) if isinstance(prevalence, float) else Cell(prevalence, quiet=True),
        bounds, Cell(row["verdict"]), Cell(row["note"] or "–"),
    )  # fmt: skip


def _extra(report: dict[str, Any]) -> Section:
    blocks: list[Any] = []
    for part, (title, would) in EXTRA_TITLES.items():
        blocks += _extra_part(title, would, report["extra"][part])
    return Section("extra", "What else was tried", tuple(blocks))


def _extra_part(title: str, would: str, part: dict[str, Any]) -> list[Any]:
    if not part.get("rows") and not part.get("series"):
        note = part.get("note")
        if part.get("state") == NOT_APPLICABLE:
            return [Prose(f"– {title}: does not apply ({would}).", "quiet")]
        return [Prose(f"✕ {title}: not measured ({would})." + (f" {note}" if note else ""), "state")]
    state = part.get("state", "measured")
    blocks: list[Any] = [Prose(f"• {title}: {state}. {part.get('note', '')}".strip(), "state")]
    table = None
    if part.get("rows"):
        rows = tuple(tuple(_any_cell(value) for value in row) for row in part["rows"])
        columns = tuple(part["columns"])
        table = Table(title, columns, rows, tuple(at for at in range(1, len(columns)) if _is_numeric(part["rows"], at)))
    if part.get("series"):
        blocks.append(Pictures(((series_chart(title, part), None),)))
    blocks += [Photo(one["caption"], one["said"], one["png"]) for one in part.get("pictures", [])]
    return blocks + ([table] if table else [])


def _is_numeric(rows: list[list[Any]], at: int) -> bool:
    """Whether a column is read as figures: not when any of its cells is a sentence."""
    return not any(isinstance(row[at], str) and len(row[at]) > LONGEST_WORDS for row in rows)


def _any_cell(value: Any) -> Cell:
    """A cell of a ready-made table: a figure, a number, words, or nothing said."""
    if isinstance(value, dict):
        full: dict[str, Any] = {"method": "", "low": None, "high": None, "n": 0, "figure": "auroc"} | value
        return _points_cell(full) if full["figure"] == "points" else cell(full["figure"], full)
    if value is None:
        return Cell("not measured", quiet=True)
    return Cell(number(value) if isinstance(value, float) else str(value))


def _points_cell(figure: dict[str, Any]) -> Cell:
    """A figure in percentage points of risk, to a tenth of a point."""
    if figure["value"] is None:
        return cell("auroc", figure)
    value, low, high = (number(figure[part], 1) for part in ("value", "low", "high"))
    return Cell(value, f"{low} to {high} · n {people(figure['n'])}")


def _methods(report: dict[str, Any]) -> Section:
    who = report["people"]
    repeated = who["persons"] < who["n"]
    text = [
        "AUROC: DeLong 1988 on the logit, by person where people have several cases (Obuchowski 1997); none at 0 or 1. AUPRC, calibration slope and "
        "intercept (Cox 1958), net benefit (Vickers and Elkin 2006): percentile bootstrap over people; AUPRC by chance is the prevalence. Sensitivity, "
        "specificity, PPV, NPV, accuracy and coverage: Wilson 1927. Brier: normal. PPV and NPV at another prevalence: "
        "logit interval of Mercaldo, Lau and Zhou 2007. 90 % sets: conformal by class (Vovk 2012).",
    ]  # fmt: skip
    if WITHIN in report["arms"]["fused"]["auroc"]["method"]:
        text.append(
            "Each fold's model is calibrated by itself, so AUROC and its differences compare people of one fold only, and the ROC curves "
            "are the mean of the folds' curves (Forman and Scholz 2010; Airola and others 2011). The other figures take all folds together."
        )
    if repeated:
        text.append(
            "Some people have several cases. Intervals of the operating point and of coverage count people (Wilson's for as many cases as "
            "theirs are worth; Rao and Scott 1992), as the others do. Those of moved thresholds, of the calibration's parts and of kinds "
            "take cases as independent and are too narrow, where cases of a person are alike much too narrow."
        )
    text.append("Intervals show the chance in who was judged, not what another hospital, machine or year would change.")
    return Section("methods", "How the figures were made", tuple(Prose(part, "quiet") for part in text))
