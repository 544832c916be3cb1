// What a page does by itself: keys, the map's opacity slider, theme, and moving through rows. No framework.
(function () {
  "use strict";
  document.addEventListener("input", function (event) {
    var slider = event.target;
    if (!slider.matches("[data-opacity-of]")) return;
    document.querySelectorAll(slider.dataset.opacityOf).forEach(function (map) { map.setAttribute("opacity", slider.value / 100); });
    var said = document.getElementById(slider.id + "-said");
    if (said) said.textContent = slider.value + " %";
  });
  function setTheme(name) {
    if (name) document.documentElement.dataset.theme = name; else delete document.documentElement.dataset.theme;
    try { localStorage.setItem("salus-theme", name); } catch (refused) { /* private mode keeps no choice */ }
  }
  try { setTheme(localStorage.getItem("salus-theme") || ""); } catch (refused) { /* nothing was kept */ }
  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-theme-switch]");
    if (!button) return;
    var dark = document.documentElement.dataset.theme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    setTheme(dark ? "light" : "dark");
  });
  // what is wider than its window begins where one looks first: a time axis with the newest, the bar with the page one is on
  document.querySelectorAll(".scroll.wide").forEach(function (axis) { axis.scrollLeft = axis.scrollWidth; });
  document.querySelectorAll("nav [aria-current]").forEach(function (item) {
    var bar = item.parentElement; // moved by itself, as moving the item into view would move the page as well
    bar.scrollLeft = item.offsetLeft - bar.offsetLeft - (bar.clientWidth - item.offsetWidth) / 2;
  });
  // the clock of an emergency access; at its end the page goes, as the record does
  document.querySelectorAll("[data-seconds-left]").forEach(function (clock) {
    var end = Date.now() + 1000 * (Number(clock.dataset.secondsLeft) + 1); // from now on: this computer's clock may be wrong
    var timer = setInterval(function () {
      var seconds = Math.floor((end - Date.now()) / 1000), minutes = Math.floor(seconds / 60);
      if (seconds < 0) { clearInterval(timer); location.reload(); return; }
      clock.textContent = minutes >= 60 ? Math.floor(minutes / 60) + " h " + String(minutes % 60).padStart(2, "0") + " min" : minutes >= 5 ? minutes + " min" : minutes + " min " + String(seconds % 60).padStart(2, "0") + " s";
    }, 1000);
  });
  // how long ago something was stays true while a page is open; counted on from what it said, as this computer's clock may be wrong
  var shownAt = new WeakMap();
  function age() {
    document.querySelectorAll("time[data-age]").forEach(function (time) {
      if (!shownAt.has(time)) shownAt.set(time, Date.now());
      var seconds = Number(time.dataset.age) + (Date.now() - shownAt.get(time)) / 1000, minutes = Math.floor(seconds / 60), asOf = time.dataset.form === "as_of";
      if (minutes < 1) return;
      var words = minutes < 120 ? minutes + " min" : minutes < 2880 ? Math.floor(minutes / 60) + " h" : asOf ? time.dataset.day : Math.floor(minutes / 1440) + " d";
      if (asOf && minutes < 2880) words += " ago";
      if (time.textContent !== words) time.textContent = words;
    });
  }
  age();
  setInterval(age, 10000);
  // a page that looks again by itself says so, so that it does not keep a session alive
  document.addEventListener("htmx:configRequest", function (event) {
    var cause = event.detail.triggeringEvent;
    if (!cause || !cause.isTrusted) event.detail.headers["X-Salus-Unasked"] = "1";
  });
  // what was refused or did not arrive is said in the page's message region, and what it should have replaced is marked as old
  function region() {
    var found = document.getElementById("said");
    if (found) return found;
    found = document.createElement("div"); // a page of another make
    found.id = "said"; found.setAttribute("role", "status");
    (document.querySelector("main") || document.body).prepend(found);
    return found;
  }
  function untrouble() { region().querySelectorAll(".trouble").forEach(function (line) { line.remove(); }); }
  function sentence(request) {
    var page = new DOMParser().parseFromString(request.responseText || "", "text/html"), words = [];
    page.querySelectorAll("main .panel > h1, main .panel > p:not(.small):not(:has(a))").forEach(function (part) { words.push(part.textContent.trim().replace(/([^.!?])$/, "$1.")); });
    return words.join(" ") || "Salus did not answer as it should. Nothing is known to have changed; please try again.";
  }
  function trouble(words, asked) {
    var place = region(), list = place.querySelector(".notes"), line = place.querySelector(".trouble");
    if (line && line.textContent === words) return; // a page that looks again by itself does not say the same twice
    untrouble();
    if (!list) { list = document.createElement("ul"); list.className = "notes"; place.append(list); }
    line = document.createElement("li");
    line.className = "trouble"; line.textContent = words;
    list.append(line);
    if (asked) place.scrollIntoView({ block: "nearest" });
  }
  function markOld(target) {
    if (!target || target === document.body || target.hasAttribute("data-old")) return;
    var note = document.createElement("span");
    note.className = "old-note"; note.textContent = "↻ Not up to date: what is here was loaded before, and what was asked for now did not come.";
    target.setAttribute("data-old", ""); target.prepend(note);
  }
  function failed(event, words) {
    var detail = event.detail, cause = detail.requestConfig.triggeringEvent;
    trouble(words, Boolean(cause && cause.isTrusted));
    if (detail.requestConfig.verb === "get") markOld(detail.target);
  }
  document.addEventListener("htmx:responseError", function (event) {
    if (!event.detail.xhr.getResponseHeader("HX-Redirect")) failed(event, sentence(event.detail.xhr));
  });
  document.addEventListener("htmx:sendError", function (event) { failed(event, "Salus could not be reached. What is on the page is from before; please try again."); });
  document.addEventListener("htmx:timeout", function (event) { failed(event, "Salus took too long to answer. What is on the page is from before; please try again."); });
  document.addEventListener("htmx:afterSwap", function (event) {
    untrouble();
    event.detail.target.removeAttribute("data-old");
  });
  document.addEventListener("allauth.error", function (event) {
    var said = document.getElementById("key-problem");
    if (said) { said.hidden = false; event.preventDefault(); }
  });
  var chosen = -1, chosenLink = "", waiting = "";
  function rows() { return Array.from(document.querySelectorAll("table.rows tbody tr")); }
  function choose(step) {
    var all = rows();
    if (!all.length) return;
    chosen = Math.min(Math.max(chosen + step, 0), all.length - 1);
    all.forEach(function (row, at) { row.classList.toggle("chosen", at === chosen); });
    all[chosen].scrollIntoView({ block: "nearest" });
    var link = all[chosen].querySelector("a");
    if (link) link.focus();
    chosenLink = link ? link.id : "";
  }
  // rows that were put in anew: the one chosen before is found again, wherever it stands now
  document.addEventListener("htmx:afterSwap", function () {
    age();
    var link = chosenLink ? document.getElementById(chosenLink) : null;
    if (!link) return;
    rows().forEach(function (row, at) {
      var here = row.contains(link);
      row.classList.toggle("chosen", here);
      if (here) chosen = at;
    });
  });
  document.addEventListener("keydown", function (event) {
    if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (waiting === "g") {
      waiting = "";
      var goal = document.querySelector('[data-key="' + event.key + '"]');
      if (goal) { event.preventDefault(); goal.click(); }
      return;
    }
    if (event.key === "g") waiting = "g";
    else if (event.key === "/") { var search = document.querySelector('input[type="search"]'); if (search) { event.preventDefault(); search.focus(); } }
    else if (event.key === "j") choose(1);
    else if (event.key === "k") choose(-1);
    else if (event.key === "?") { var keys = document.getElementById("keys"); if (keys) keys.showModal(); }
  });
})();
