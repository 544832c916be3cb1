"use strict";
// The confusion matrix at a threshold and a prevalence. The same formulas as salus_learn.evaluation.decision, checked against it.
(() => {
  const arms = JSON.parse(document.getElementById("counts").textContent);
  const by = (id) => document.getElementById(id);
  const Z = 1.959963984540054;
  const whole = (n) => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const percent = (share) => (100 * share).toFixed(1) + "\u00a0%";
  let operating = true; // until the threshold is moved, the flags of the operating point

  function wilson(hits, n) {
    if (!n) return null;
    const share = hits / n, centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n);
    const half = Z / (1 + Z * Z / n) * Math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n));
    return [share, Math.max(0, centre - half), Math.min(1, centre + half)];
  }

  function bayes(right, rightOf, wrong, wrongOf, odds) {
    if (!rightOf || !wrongOf) return null;
    const top = right / rightOf * odds, bottom = wrong / wrongOf;
    if (top + bottom === 0) return null;
    const moved = (hits, n) => (hits + 0.5) / (n + 1);
    const value = top / (top + bottom), a = moved(right, rightOf), b = moved(wrong, wrongOf);
    const centre = Math.log(a / b * odds);
    const half = Z * Math.sqrt((1 - a) / a / (rightOf + 1) + (1 - b) / b / (wrongOf + 1));
    const bound = (side) => 1 / (1 + Math.exp(-(centre + side * half)));
    return [value, Math.min(bound(-1), value), Math.max(bound(1), value)];
  }

  function counts(arm) {
    if (operating) return arm.operating;
    const at = Number(by("threshold").value), of = arm.thresholds;
    return { tp: of.tp[at], fn: of.events - of.tp[at], fp: of.fp[at], tn: of.others - of.fp[at] };
  }

  function put(id, figure, n) {
    by(id).textContent = figure ? percent(figure[0]) : "✕ not computable";
    by(id).dataset.value = figure ? figure.map((part) => part.toFixed(6)).join(" ") : "";
    by(id + "-under").textContent = figure ? `${(100 * figure[1]).toFixed(1)}–${(100 * figure[2]).toFixed(1)} · n ${n}` : "nobody to count";
  }

  function limits(of) { // where fewer than eleven people would be flagged, or not flagged, the slider ends
    by("threshold").min = of.first;
    by("threshold").max = of.last;
  }

  function show() {
    limits(arms[by("arm").value].thresholds);
    const arm = arms[by("arm").value], { tp, fn, fp, tn } = counts(arm);
    const prevalence = Number(by("prevalence").value) / 1000, odds = prevalence / (1 - prevalence);
    const events = tp + fn, others = fp + tn, steps = arm.thresholds.steps;
    const threshold = operating ? "the operating point" : percent(Number(by("threshold").value) / steps);
    by("threshold-said").textContent = threshold;
    by("threshold").setAttribute("aria-valuetext", threshold);
    by("prevalence-said").textContent = percent(prevalence);
    by("prevalence").setAttribute("aria-valuetext", percent(prevalence));
    for (const [name, n] of Object.entries({ tp, fn, fp, tn })) by(name).textContent = whole(n);
    put("sensitivity", wilson(tp, events), whole(events));
    put("specificity", wilson(tn, others), whole(others));
    put("ppv", bayes(tp, events, fp, others, odds), whole(events + others));
    put("npv", bayes(tn, others, fn, events, 1 / odds), whole(events + others));
    const found = events ? 1000 * prevalence * tp / events : 0, alarms = others ? 1000 * (1 - prevalence) * fp / others : 0;
    by("found").textContent = whole(found);
    by("missed").textContent = whole(1000 * prevalence - found);
    by("alarms").textContent = whole(alarms);
    by("left").textContent = whole(1000 * (1 - prevalence) - alarms);
    by("said").textContent = `Of 1\u202f000 people at a prevalence of ${percent(prevalence)}: ${whole(found + alarms)} flagged, ${whole(found)} of them rightly; ${whole(1000 * prevalence - found)} missed.`;
  }

  function nearest() { // the threshold whose flags are nearest in number to those of the operating point
    const arm = arms[by("arm").value], of = arm.thresholds, wanted = arm.operating.tp + arm.operating.fp;
    limits(of);
    let best = of.first;
    for (let at = of.first; at <= of.last; at += 1) {
      if (Math.abs(of.tp[at] + of.fp[at] - wanted) <= Math.abs(of.tp[best] + of.fp[best] - wanted)) best = at;
    }
    by("threshold").value = best;
  }

  function back() { operating = true; nearest(); by("prevalence").value = by("prevalence").dataset.own; show(); }

  by("threshold").addEventListener("input", () => { operating = false; show(); });
  by("prevalence").addEventListener("input", show);
  by("arm").addEventListener("change", () => { if (operating) nearest(); show(); });
  by("back").addEventListener("click", back);
  by("sliders").hidden = false;
  back();
})();
