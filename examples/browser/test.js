// Runs accrue.js in a page of stubs and prints the body and the address of what it sends: `node test.js URL`.
const fs = require("fs"), path = require("path");
const url = process.argv[2];
const listeners = {};
let observed, sees;
const element = (dataset, isCart) => ({
  dataset,
  closest(selector) {
    return selector === "[data-item]" || isCart ? this : null;
  },
});
const mug = element({ item: "sku-9", rec: "67408f1ab3c2-1f", pos: "2" });
const button = element({ item: "sku-3" }, true);
Object.assign(globalThis, {
  window: globalThis,
  document: { readyState: "loading", currentScript: { dataset: { url } }, querySelectorAll: () => [mug, button] },
  sessionStorage: {},
  addEventListener: (type, listener) => (listeners[type] = listener),
  IntersectionObserver: class {
    constructor(callback) {
      sees = callback;
      observed = new Set();
    }
    observe(e) {
      observed.add(e);
    }
    unobserve(e) {
      observed.delete(e);
    }
  },
});
Object.defineProperty(globalThis, "navigator", {
  value: { sendBeacon: (address, body) => console.log(JSON.stringify({ address, body })) },
});
globalThis.crypto ??= require("crypto").webcrypto;
const script = fs.readFileSync(path.join(__dirname, "accrue.js"), "utf8");
// Loaded late, after a consent: the page is complete.
document.readyState = "complete";
eval(script);
if (observed.size !== 2) throw new Error("a script that is loaded late watches at once");
document.readyState = "loading";
eval(script);
if (observed.size !== 0) throw new Error("elements are watched when the page is complete");
listeners.DOMContentLoaded();
accrue("view", "sku-9");
sees([...observed].map((target) => ({ target, isIntersecting: target === mug })));
if (observed.has(mug) || !observed.has(button)) throw new Error("an impression is sent once, when the element is seen");
listeners.click({ target: mug });
listeners.click({ target: button });
listeners.visibilitychange();
listeners.visibilitychange();
process.exit();
