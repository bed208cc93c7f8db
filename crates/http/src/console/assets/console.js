// Keeps figures and charts up to date from the calls of the JSON interface that they link to. Without this script the
// console shows what was true when the page was made.
"use strict";
(() => {
  const EVERY_MS = 5000;
  const stale = document.currentScript.dataset.stale;
  // English with dates and times as most of the world writes them.
  const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
  const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const write = {
    count: (n) => grouped.format(n),
    ratio: (n) => n.toFixed(3),
    percent: (n) => `${(100 * n).toFixed(1)} %`,
    rate: (n) => (n < 100 ? n.toFixed(1) : grouped.format(n)),
    plain: (n) => String(n),
  };
  // `all.ndcg`, `samples.-1.lag`: names with dots between them; a number counts from the end if it is below 0.
  const at = (body, path) =>
    path.split(".").reduce((value, name) => (Array.isArray(value) ? value.at(Number(name)) : value?.[name]), body);

  const element = (name, attributes, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  // The next round number above: 1, 2 or 5 times a power of ten.
  const round = (n) => {
    if (!(n > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(n));
    return [1, 2, 5, 10].find((step) => step * power >= n) * power;
  };
  const moment = (x) =>
    typeof x === "string"
      ? new Date(x).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", second: "2-digit" })
      : grouped.format(x);

  function draw(chart, body) {
    const { list, x, fields, form, weight } = chart.dataset;
    const entries = (body[list] ?? []).filter((entry) => !weight || entry[weight] > 0).slice(-400);
    const plot = chart.querySelector(".plot");
    // A figure over few cases says little: where entries have weights, a point is the mean of the last ten entries.
    const mean = (field, place) => {
      const latest = entries.slice(Math.max(place - 9, 0), place + 1).filter((entry) => Number.isFinite(entry[field]));
      const sum = latest.reduce((sum, entry) => sum + entry[weight] * entry[field], 0);
      return sum / latest.reduce((sum, entry) => sum + entry[weight], 0);
    };
    const points = fields.split(" ").map((field) =>
      entries
        .map((entry, place) => [place, weight ? mean(field, place) : entry[field]])
        .filter(([, value]) => Number.isFinite(value)),
    );
    if (!points.some((of) => of.length > 1)) return;
    const [width, height, left, bottom] = [plot.clientWidth || 600, 200, 46, 22];
    const top = round(Math.max(...points.flat().map(([, value]) => value)));
    const across = (place) => left + ((width - left - 6) * place) / Math.max(entries.length - 1, 1);
    const up = (value) => 6 + (height - bottom - 6) * (1 - value / top);
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    const label = (text, from, y, anchor) => {
      const made = element("text", { x: from, y, "text-anchor": anchor });
      made.textContent = text;
      return made;
    };
    for (const part of [0, 0.5, 1]) {
      const y = up(part * top);
      svg.append(element("line", { x1: left, x2: width - 6, y1: y, y2: y }));
      svg.append(label(write[form](part * top), left - 6, y + 4, "end"));
    }
    const ends = [entries[0], entries.at(-1)].map((entry) => moment(entry[x]));
    svg.append(label(ends[0], left, height - 4, "start"), label(ends[1], width - 6, height - 4, "end"));
    points.forEach((of, series) => {
      const path = of.map(([place, value]) => `${across(place).toFixed(1)},${up(value).toFixed(1)}`).join(" ");
      svg.append(element("polyline", { points: path, class: `s${series}` }));
    });
    const cursor = element("line", { class: "cursor", y1: 6, y2: height - bottom, visibility: "hidden" });
    svg.append(cursor);
    const outputs = chart.querySelectorAll(".legend output");
    const tell = (place) =>
      points.forEach((of, series) => {
        const value = (of.find(([at]) => at === place) ?? (place == null ? of.at(-1) : undefined))?.[1];
        outputs[series].textContent = value == null ? "–" : write[form](value);
      });
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const share = (((event.clientX - box.left) / box.width) * width - left) / (width - left - 6);
      const place = Math.round(Math.min(Math.max(share, 0), 1) * (entries.length - 1));
      for (const end of ["x1", "x2"]) cursor.setAttribute(end, across(place));
      cursor.setAttribute("visibility", "visible");
      tell(place);
    });
    svg.addEventListener("pointerleave", () => {
      cursor.setAttribute("visibility", "hidden");
      tell(null);
    });
    svg.setAttribute("aria-label", chart.querySelector("figcaption b").textContent);
    tell(null);
    // A chart that is being read is not replaced under the pointer.
    if (!plot.matches(":hover") || !plot.querySelector("svg")) plot.replaceChildren(svg);
  }

  function show(figure, body) {
    const value = at(body, figure.dataset.field);
    if (value == null) return;
    const text = write[figure.dataset.form](value);
    if (figure.textContent === text) return;
    figure.textContent = text;
    figure.classList.add("changed");
    setTimeout(() => figure.classList.remove("changed"), 700);
  }

  async function update() {
    const calls = new Map();
    for (const figure of document.querySelectorAll("[data-api]"))
      calls.set(figure.dataset.api, [...(calls.get(figure.dataset.api) ?? []), (body) => show(figure, body)]);
    for (const chart of document.querySelectorAll("[data-chart]"))
      calls.set(chart.dataset.chart, [...(calls.get(chart.dataset.chart) ?? []), (body) => draw(chart, body)]);
    if (calls.size === 0) return false;
    try {
      for (const [path, uses] of calls) {
        const answer = await fetch(path, { headers: { accept: "application/json" } });
        if (answer.status === 401) return location.reload();
        if (!answer.ok) throw new Error(answer.statusText);
        const body = await answer.json();
        for (const use of uses) use(body);
      }
      document.body.classList.remove("stale");
      document.querySelector("#stale")?.remove();
    } catch {
      if (!document.body.classList.contains("stale")) {
        const notice = document.createElement("p");
        Object.assign(notice, { id: "stale", className: "notice warn", role: "alert", textContent: stale });
        document.querySelector("h1").after(notice);
      }
      document.body.classList.add("stale");
    }
    return true;
  }
  async function keep() {
    if (document.hidden || (await update())) setTimeout(keep, EVERY_MS);
  }
  keep();

  // What is being computed is asked for again, without the sentence about what a form has done.
  // Not while somebody writes the next request.
  const again = document.querySelector("[data-again]");
  let isWriting = false;
  document.addEventListener("input", () => (isWriting = true));
  const reload = () => isWriting || location.replace(location.pathname);
  if (again) setTimeout(reload, 1000 * Number(again.dataset.again));

  // Times in the zone of the browser; the title keeps UTC.
  for (const time of document.querySelectorAll("time")) {
    const when = new Date(time.dateTime);
    if (Number.isNaN(when.getTime())) continue;
    time.title = time.textContent;
    time.textContent = when.toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
  }
  // What cannot be taken back asks first.
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });
  // "/" goes to the search field of the page.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName)) return;
    const field = document.querySelector("[data-search]");
    if (field) event.preventDefault(), field.focus();
  });
})();
