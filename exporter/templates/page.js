// Keeps the open page true: ages tick, and what has changed is fetched from the page's own URL and put in its place.
// Without it the page works too: the filter is a form, and a browser without scripts loads it anew now and then.
"use strict";
(() => {
  const root = document.documentElement;
  const trouble = document.getElementById("trouble");
  const form = document.querySelector("form");
  const every = 1000 * Number(root.dataset.every);
  const patience = 10_000;
  const skew = 1000 * Number(root.dataset.now) - Date.now(); // the service's clock less ours
  let etag = root.dataset.etag;
  let goodAt = Date.now();
  let turn = 0;
  let timer = 0;

  // Ages

  const spanOf = (seconds) => {
    let rest = Math.max(0, Math.floor(seconds));
    const parts = [];
    for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
      const number = Math.floor(rest / size);
      rest %= size;
      if (number || (unit === "s" && !parts.length)) parts.push(`${number} ${unit}`);
      else if (parts.length) break;
      if (parts.length === 2) break;
    }
    return parts.join(" ");
  };

  const tick = () => {
    const now = Date.now() + skew;
    for (const time of document.getElementsByTagName("time")) {
      const seconds = (now - Date.parse(time.dateTime)) / 1000;
      const kind = time.className;
      const text = kind === "in" ? `in ${spanOf(-seconds)}` : spanOf(seconds) + (kind === "ago" ? " ago" : "");
      if (time.firstChild) {
        if (time.firstChild.data !== text) time.firstChild.data = text;
      } else time.textContent = text;
    }
    for (const bar of document.getElementsByTagName("progress")) {
      const seconds = (now - Date.parse(bar.dataset.since)) / 1000;
      bar.value = Math.min(seconds, bar.max);
      bar.className = seconds >= bar.max ? "over" : seconds >= Number(bar.dataset.warn) ? "near" : "";
    }
    if (!trouble.hidden) sayTrouble();
  };

  // What changes

  // What an element was made from, without what ticks by itself.
  const sources = new WeakMap();
  const sourceOf = (element) =>
    element.outerHTML.replace(/(<time[^>]*>)[^<]*/g, "$1").replace(/(<progress[^>]*?) value="\d+"/g, "$1")
      .replace(/(<progress[^>]*?) class="\w*"/g, "$1");

  const remember = (element) => {
    if (element.tagName === "TBODY") for (const row of element.rows) sources.set(row, sourceOf(row));
    else sources.set(element, sourceOf(element));
  };

  const nameOf = (row) => row.cells[0].textContent;

  const renewRows = (old, fresh) => {
    const known = new Map();
    for (const row of old.rows) known.set(nameOf(row), row);
    let place = old.firstElementChild;
    for (const row of [...fresh.rows]) {
      const name = nameOf(row);
      const kept = known.get(name);
      known.delete(name);
      const source = sourceOf(row);
      let shown = kept;
      if (!kept || sources.get(kept) !== source) {
        shown = document.adoptNode(row);
        sources.set(shown, source);
        if (kept) {
          if (place === kept) place = shown;
          kept.replaceWith(shown);
        }
      }
      if (place === shown) place = shown.nextElementSibling;
      else old.insertBefore(shown, place);
    }
    while (place) {
      const next = place.nextElementSibling;
      place.remove();
      place = next;
    }
  };

  const renew = (old, fresh) => {
    if (old.tagName === "TBODY") return renewRows(old, fresh);
    const source = sourceOf(fresh);
    if (sources.get(old) === source || (old.tagName === "SELECT" && old === document.activeElement)) return;
    const opened = (element) => [element, ...element.querySelectorAll("details")].filter((one) => one.dataset.kept);
    const open = new Map(opened(old).map((one) => [one.dataset.kept, one.open]));
    for (const one of opened(fresh)) if (open.has(one.dataset.kept)) one.open = open.get(one.dataset.kept);
    sources.set(fresh, source);
    old.replaceWith(document.adoptNode(fresh));
  };

  const take = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    const focused = document.activeElement;
    if (!fresh.querySelector("form") !== !form) return location.reload(); // it leads now, or another one does
    const href = focused?.getAttribute?.("href");
    document.title = fresh.title;
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const old = document.querySelector(`[data-part="${part.dataset.part}"]`);
      if (old) renew(old, part);
    }
    if (href && !focused.isConnected) document.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus();
    tick();
  };

  // Asking

  const sayTrouble = () => {
    const old = spanOf((Date.now() - goodAt) / 1000);
    const text = `Cannot update: ${trouble.dataset.why}. What you see is ${old} old; trying again.`;
    if (trouble.textContent !== text) trouble.textContent = text;
  };

  const bad = (why) => {
    trouble.dataset.why = why;
    trouble.hidden = false;
    root.classList.add("stale");
    sayTrouble();
  };

  const good = () => {
    goodAt = Date.now();
    trouble.hidden = true;
    trouble.textContent = "";
    root.classList.remove("stale");
  };

  const update = async () => {
    clearTimeout(timer);
    const mine = ++turn;
    try {
      const answer = await fetch(location.origin + location.pathname + location.search, {
        headers: { "If-None-Match": etag },
        cache: "no-store",
        credentials: "same-origin",
        redirect: "error",
        signal: AbortSignal.timeout(patience),
      });
      const html = answer.status === 200 ? await answer.text() : "";
      if (mine !== turn) return;
      if (html) {
        take(html);
        etag = answer.headers.get("etag") ?? "";
      }
      if (html || answer.status === 304) good();
      else bad(answer.status === 401 ? "sign in again (load the page anew)" : `the service answers ${answer.status}`);
    } catch {
      if (mine !== turn) return;
      bad("the service does not answer");
    }
    timer = setTimeout(update, document.hidden ? 60_000 : every);
  };

  // The filter

  const filter = () => {
    const said = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) said.append(name, value);
    const query = said.toString();
    history.replaceState(null, "", location.pathname + (query ? `?${query}` : ""));
    etag = "";
    update();
  };

  document.querySelectorAll("[data-part]").forEach(remember);
  root.classList.add("live");
  if (form) {
    let wait = 0;
    form.addEventListener("input", () => {
      clearTimeout(wait);
      wait = setTimeout(filter, 150);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      filter();
    });
    document.addEventListener("keydown", (event) => {
      const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        document.getElementById("q").focus();
      }
    });
  }
  document.addEventListener("visibilitychange", () => document.hidden || update());
  document.addEventListener("mouseover", (event) => {
    const time = event.target.closest?.("time");
    if (time && !time.title) time.title = new Date(time.dateTime).toLocaleString();
  });
  tick();
  setInterval(tick, 1000);
  timer = setTimeout(update, every);
})();
