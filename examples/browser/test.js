// Runs accrue.js in a page of stubs and prints the body and the address of what it sends: `node test.js URL [late]`. With
// `late` the script is loaded after the page, which has called `accrue` before.
const fs = require("fs"), path = require("path");
const [url, late] = process.argv.slice(2);
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
  document: {
    currentScript: { dataset: { url } },
    readyState: late ? "complete" : "loading",
    querySelectorAll: () => [mug, button],
  },
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
if (late) {
  globalThis.accrue = function () { (accrue.q ||= []).push(arguments); };
  accrue("view", "sku-9");
}
eval(fs.readFileSync(path.join(__dirname, "accrue.js"), "utf8"));
if (late) {
  if (listeners.DOMContentLoaded) throw new Error("nothing can be waited for");
} else {
  listeners.DOMContentLoaded();
  accrue("view", "sku-9");
}
sees([...observed].map((target) => ({ target, isIntersecting: target === mug })));
if (observed.has(mug) || !observed.has(button)) throw new Error("an impression is sent once, when the element is seen");
listeners.click({ target: mug });
listeners.click({ target: button });
listeners.visibilitychange();
listeners.visibilitychange();
process.exit();
