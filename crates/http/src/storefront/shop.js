// The storefront of the demonstration. It calls the same JSON interface as any shop's page, and sends what the visitor
// does; the answer to the next request has learned from it. All texts of the shop are set as text, never as markup.
"use strict";
(() => {
  const FIELDS = "title,price,currency,brand,categories";
  const content = document.querySelector("#content");
  const why = document.querySelector("#why");
  const past = document.querySelector("#past");
  const stored = (key, otherwise) => JSON.parse(localStorage.getItem(key) ?? "null") ?? otherwise;
  const keep = (key, value) => localStorage.setItem(key, JSON.stringify(value));
  let you = stored("you") ?? begin();
  let basket = stored("basket", []);
  // What the home page showed last, to tell what has changed.
  let shown = [];

  function begin() {
    const name = `you-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
    keep("you", name), keep("basket", []), keep("past", []);
    return name;
  }

  const make = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value != null && value !== false) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child != null));
    return made;
  };
  const draw = (name, attributes, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const price = (item) =>
    item.price == null ? "" : `${item.price.toFixed(2)} ${item.currency ?? ""}`.trim();

  // A picture from the words of the item: things of one category have one colour.
  const hash = (text) => [...text].reduce((sum, sign) => (Math.imul(sum, 31) + sign.codePointAt(0)) >>> 0, 7);
  function picture(item) {
    const [hue, seed] = [hash(item.categories?.[0] ?? item.id) % 360, hash(item.id)];
    const svg = draw("svg", { viewBox: "0 0 100 100", "aria-hidden": "true" });
    svg.append(draw("rect", { width: 100, height: 100, fill: `hsl(${hue} 32% 84%)` }));
    const shade = (step) => `hsl(${(hue + 14 * step) % 360} 38% ${62 - 9 * step}%)`;
    const shapes = [
      () => draw("circle", { cx: 50, cy: 52, r: 24 + (seed % 8), fill: shade(0) }),
      () => draw("rect", { x: 27, y: 26, width: 46, height: 50, rx: 4 + (seed % 20), fill: shade(0) }),
      () => draw("path", { d: "M50 22L78 74H22Z", fill: shade(0) }),
      () => draw("path", { d: "M30 30h40l-6 46H36z", fill: shade(0) }),
      () => draw("path", { d: "M22 44h56v8a28 28 0 0 1-56 0z", fill: shade(0) }),
    ];
    const family = hash(item.categories?.[1] ?? item.id) % shapes.length;
    svg.append(shapes[family]());
    svg.append(draw("circle", { cx: 38 + (seed % 24), cy: 36 + ((seed >> 5) % 26), r: 5 + ((seed >> 9) % 8), fill: shade(2), opacity: 0.85 }));
    svg.append(draw("rect", { x: 0, y: 82, width: 100, height: 18, fill: shade(1), opacity: 0.25 }));
    return svg;
  }

  async function ask(path, body) {
    const options = body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const answer = await fetch(path, options);
    const read = await answer.json();
    if (!answer.ok) throw new Error(read.detail ?? read.title);
    return read;
  }

  // Sends what the visitor did. It is durable and applied before the answer comes, so that the next page has it.
  async function did(type, item, more = {}) {
    const began = performance.now();
    const event = { type, item: item.id, session: you, price: item.price, ...more };
    await ask("/shop/events", { events: [event] });
    const took = Math.round(performance.now() - began);
    keep("past", [{ type, id: item.id, title: item.title ?? item.id, took }, ...stored("past", [])].slice(0, 30));
    tell();
  }

  function tell() {
    document.querySelector("#you").textContent = you;
    document.querySelector("#basket-count").textContent = basket.length ? `(${basket.length})` : "";
    const lines = stored("past", []).map(({ type, id, title, took }) =>
      make("li", {}, make("span", { class: "soft" }, `${type} `), make("a", { href: `#/item/${encodeURIComponent(id)}` }, title), make("span", { class: "soft" }, ` · ${took} ms`)),
    );
    past.replaceChildren(...(lines.length ? lines : [make("li", { class: "soft" }, "Nothing yet. Open a thing, or put it into the basket: the page changes with the next request.")]));
  }

  // Each term of the score, as the server explains it.
  function explain(item) {
    const reasons = item.reasons ?? [];
    const most = Math.max(...reasons.map((reason) => Math.abs(reason.share)), 1e-9);
    const lines = reasons.map((reason) => {
      const width = (100 * Math.abs(reason.share)) / most;
      const bar = draw("svg", { class: "bar", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" }, draw("rect", { width, height: 4, class: reason.share < 0 ? "minus" : "" }));
      // The score of a new item is a day, which is no share of anything.
      if (reason.code === "new_item") return make("li", {}, reason.text);
      const share = make("span", { class: "number" }, reason.share.toFixed(3));
      return make("li", {}, make("div", { class: "share" }, make("span", {}, reason.text), share), bar);
    });
    why.replaceChildren(make("p", {}, make("b", {}, item.title ?? item.id)), make("ul", {}, ...lines));
  }

  function tile(item, place, answer, more = {}) {
    const open = () => did("click", item, { recommendation_id: answer.recommendation_id ?? answer.search_id, position: place, ...more }).catch(fail);
    const made = make(
      "li",
      { class: "tile", onpointerenter: () => explain(item), onfocusin: () => explain(item) },
      make("a", { href: `#/item/${encodeURIComponent(item.id)}`, onclick: open }, picture(item), make("span", { class: "title" }, item.title ?? item.id)),
      make("span", { class: "price" }, price(item)),
      item.sponsored && make("b", { class: "reason" }, "Sponsored"),
      strongest(item) && make("span", { class: "reason" }, strongest(item).text),
    );
    return made;
  }
  // What the visitor did says more than what all visitors do, and what no event explains says nothing.
  const strongest = ({ reasons = [] }) => {
    const telling = reasons.filter((reason) => reason.share > 0 && !["rest_of_history", "no_history"].includes(reason.code));
    const own = telling.filter((reason) => reason.item);
    return (own.length ? own : telling).reduce((best, reason) => (best && best.share >= reason.share ? best : reason), null);
  };
  // The panel is about the first item that is shown, or about nothing.
  const explainFirst = (items) => (items[0] ? explain(items[0]) : why.replaceChildren(make("p", { class: "soft" }, "Nothing is shown.")));
  const tiles = (answer, list, more) => make("ul", { class: "tiles" }, ...list.map((item, place) => tile(item, place, answer, more)));
  const fail = (error) => content.prepend(make("p", { role: "alert" }, error.message));
  const recommend = (scene, items, n) =>
    ask("/v1/recommend", { session: you, scene, items, n, explain: true, fields: FIELDS });

  async function home() {
    const answer = await recommend("home", [], 16);
    const fresh = await ask(`/v1/new?n=6&fields=${FIELDS}`);
    const before = new Set(shown);
    const list = tiles(answer, answer.items);
    if (before.size) answer.items.forEach((item, place) => list.children[place].classList.toggle("new", !before.has(item.id)));
    shown = answer.items.map((item) => item.id);
    const n_new = shown.filter((id) => before.size && !before.has(id)).length;
    const said = n_new ? `${n_new} of ${shown.length} are new here since what you did last.` : "Ordered for you; what you do changes it at once.";
    content.replaceChildren(make("h1", {}, "For you"), make("p", { class: "soft" }, said), list, make("h2", {}, "New in the shop"), tiles(fresh, fresh.items));
    explainFirst(answer.items);
  }

  async function product(id) {
    const item = await ask(`/v1/items/${encodeURIComponent(id)}`);
    const answer = await recommend("product", [id], 8);
    const add = async () => {
      basket = [...basket.filter((other) => other.id !== id), item];
      keep("basket", basket);
      await did("cart", item).catch(fail);
      location.hash = "#/basket";
    };
    const like = (event) => (event.target.disabled = true) && did("favorite", item).then(() => show(), fail);
    const dislike = (event) => (event.target.disabled = true) && did("dislike", item).then(() => (location.hash = "#/"), fail);
    const about = make(
      "div",
      {},
      make("h1", {}, item.title ?? item.id),
      make("p", { class: "soft" }, [item.brand, ...(item.categories ?? [])].filter(Boolean).join(" · ")),
      make("p", { class: "price" }, price(item)),
      make("p", {}, item.description ?? ""),
      make("p", { class: "row" }, make("button", { class: "primary", id: "add", onclick: add }, "Into the basket"), make("button", { onclick: like }, "Like"), make("button", { onclick: dislike }, "Not for me")),
    );
    content.replaceChildren(make("div", { class: "hero" }, picture(item), about), make("h2", {}, "More like it"), tiles(answer, answer.items));
    explainFirst(answer.items);
  }

  async function basketPage() {
    const answer = await recommend("basket", basket.map((item) => item.id), 8);
    const remove = (id) => () => {
      basket = basket.filter((item) => item.id !== id);
      keep("basket", basket), tell(), show();
    };
    const buy = async () => {
      for (const item of basket) await did("purchase", item).catch(fail);
      basket = [];
      keep("basket", basket), tell();
      location.hash = "#/";
    };
    const line = (item) =>
      make("li", {}, picture(item), make("a", { href: `#/item/${encodeURIComponent(item.id)}` }, item.title ?? item.id), make("span", { class: "price" }, price(item)), make("button", { class: "link", onclick: remove(item.id) }, "Remove"));
    const sum = basket.reduce((sum, item) => sum + (item.price ?? 0), 0);
    const filled = [make("ul", { class: "basket" }, ...basket.map(line)), make("p", { class: "row" }, make("b", { class: "price" }, price({ price: sum, currency: basket[0]?.currency })), make("button", { class: "primary", id: "buy", onclick: buy }, "Buy"))];
    content.replaceChildren(make("h1", {}, "Basket"), ...(basket.length ? filled : [make("p", { class: "soft" }, "Nothing is in it yet.")]), make("h2", {}, basket.length ? "Goes with your basket" : "You may like"), tiles(answer, answer.items));
    explainFirst(answer.items);
  }

  // The facets are counted by the server; what is chosen is a filter of the next request.
  async function results(params) {
    const query = params.get("q") ?? "";
    const chosen = ["brand", "category"].flatMap((field) => params.getAll(field).map((value) => [field, value]));
    const quoted = (value) => `"${value.replace(/["\\]/g, "\\$&")}"`;
    const groups = Object.entries(Object.groupBy(chosen, ([field]) => field));
    const parts = groups.map(([field, values]) => `(${values.map(([, value]) => `${field}:${quoted(value)}`).join(" OR ")})`);
    const range = params.get("price");
    if (range) parts.push(`price:${range}`);
    const answer = await ask("/v1/search", {
      query, session: you, n: 24, filter: parts.join(" AND ") || undefined, facets: ["category", "brand", "price"],
      sort: params.get("sort") ?? "", fields: FIELDS, explain: true,
    });
    const go = (change) => {
      const next = new URLSearchParams(params);
      change(next);
      location.hash = `#/search?${next}`;
    };
    const toggle = (field, value, on) => go((next) => {
      const others = next.getAll(field).filter((other) => other !== value);
      next.delete(field);
      for (const other of on ? [...others, value] : others) next.append(field, other);
    });
    const box = (field, { value, count }) => {
      const input = make("input", { type: "checkbox", checked: params.getAll(field).includes(value), onchange: (event) => toggle(field, value, event.target.checked) });
      return make("label", {}, input, value, make("span", { class: "soft" }, count));
    };
    const facet = (field, name) => {
      const values = (answer.facets?.[field] ?? []).slice(0, 10);
      return values.length ? make("fieldset", {}, make("legend", {}, name), ...values.map((value) => box(field, value))) : null;
    };
    const ranges = answer.facets?.price?.ranges ?? [];
    const priceBox = ({ from, to, count }) => {
      const input = make("input", { type: "radio", name: "price", checked: range === `${from}..${to}`, onchange: () => go((next) => next.set("price", `${from}..${to}`)) });
      return make("label", {}, input, `${from} – ${to}`, make("span", { class: "soft" }, count));
    };
    const prices = ranges.length ? make("fieldset", {}, make("legend", {}, "Price"), ...ranges.slice(0, 8).map(priceBox)) : null;
    const sorts = [["", "Best for you"], ["price:asc", "Price, lowest first"], ["price:desc", "Price, highest first"], ["published_at:desc", "Newest"]];
    const sort = make("select", { "aria-label": "Order", onchange: (event) => go((next) => next.set("sort", event.target.value)) }, ...sorts.map(([value, name]) => make("option", { value, selected: (params.get("sort") ?? "") === value }, name)));
    const said = [`${answer.total} found in ${answer.took_ms.toFixed(1)} ms`];
    if (answer.corrected) said.push(`shown for “${answer.corrected}”`);
    if (answer.dropped?.length) said.push(`without “${answer.dropped.join(" ")}”`);
    const hits = answer.hits.length ? tiles(answer, answer.hits, { query }) : make("p", { class: "soft" }, "Nothing has these words. Try fewer of them.");
    const clear = parts.length ? make("button", { class: "link", onclick: () => (location.hash = `#/search?q=${encodeURIComponent(query)}`) }, "Clear filters") : null;
    content.replaceChildren(
      make("h1", {}, query ? `“${query}”` : "Everything"),
      make("div", { class: "row" }, make("span", { class: "soft" }, said.join(" · ")), sort, clear),
      make("div", { class: "results" }, make("div", { class: "facets" }, facet("category", "Category"), facet("brand", "Brand"), prices), hits),
    );
    explainFirst(answer.hits);
  }

  async function show() {
    tell();
    const [path, query] = (location.hash.slice(1) || "/").split("?");
    try {
      if (path.startsWith("/item/")) await product(decodeURIComponent(path.slice(6)));
      else if (path === "/basket") await basketPage();
      else if (path === "/search") await results(new URLSearchParams(query));
      else await home();
      content.dataset.shown = location.hash || "#/";
    } catch (error) {
      fail(error);
    }
  }
  addEventListener("hashchange", () => {
    scrollTo(0, 0);
    show().then(() => content.focus({ preventScroll: true }));
  });

  // Suggestions while typing, by mouse and by keyboard.
  const field = document.querySelector("#query");
  const list = document.querySelector("#suggestions");
  let [asked, selected] = [0, -1];
  const close = () => {
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
  };
  const choose = ({ kind, text, id }) => {
    close();
    if (kind === "item" && id) location.hash = `#/item/${encodeURIComponent(id)}`;
    else if (kind === "brand" || kind === "category") location.hash = `#/search?q=${encodeURIComponent(text)}`;
    else location.hash = `#/search?q=${encodeURIComponent(text)}`;
    field.value = kind === "item" ? "" : text;
  };
  field.addEventListener("input", async () => {
    const [number, text] = [++asked, field.value.trim()];
    if (!text) return close();
    const { suggestions } = await ask(`/v1/suggest?n=8&session=${you}&q=${encodeURIComponent(text)}`).catch(() => ({ suggestions: [] }));
    // An answer that a later one has overtaken is not shown.
    if (number !== asked) return;
    selected = -1;
    list.replaceChildren(...suggestions.map((suggestion) => make("li", { role: "option", "aria-selected": "false", onpointerdown: (event) => (event.preventDefault(), choose(suggestion)) }, make("span", {}, suggestion.text), make("span", { class: "soft" }, suggestion.kind))));
    list.suggestions = suggestions;
    list.hidden = suggestions.length === 0;
    field.setAttribute("aria-expanded", String(!list.hidden));
  });
  field.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") return close();
    if (step) {
      event.preventDefault();
      selected = (selected + step + list.children.length) % list.children.length;
      [...list.children].forEach((line, place) => line.setAttribute("aria-selected", String(place === selected)));
    } else if (event.key === "Enter" && selected >= 0) {
      event.preventDefault();
      choose(list.suggestions[selected]);
    }
  });
  field.addEventListener("blur", close);
  document.querySelector("#search").addEventListener("submit", (event) => {
    event.preventDefault();
    close();
    location.hash = `#/search?q=${encodeURIComponent(field.value.trim())}`;
  });
  document.querySelector("#again").addEventListener("click", () => {
    [you, basket, shown] = [begin(), [], []];
    location.hash = "#/";
    show();
  });
  show();
})();
