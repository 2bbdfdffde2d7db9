/** Which bundle scores, in which engine, with which preset. */

import { announce, find, make } from "./elements.js";

/** @typedef {import("./session.js").Opened} Opened */
/** @typedef {import("./intake.js").Entry} Entry */

export class BundlePanel {
  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    /** @type {Entry[] | null} the chosen bundle's; the demo is open without */
    this.files = null;
    this.engine = find("engine", HTMLSelectElement);
    this.engine.value = new URLSearchParams(location.search).get("engine") ?? "auto";
    if (!this.engine.value) this.engine.value = "auto";
    this.engine.addEventListener("change", () => this.open(this.files));
    const preset = find("preset", HTMLSelectElement);
    preset.addEventListener("change", () => {
      session.preset = /** @type {import("../pictures/prepare.js").Preset} */ (preset.value);
      session.notify();
    });
    find("use-demo", HTMLButtonElement).addEventListener("click", () => this.open(null));
  }

  /**
   * Open a bundle; where it cannot be used, the one before stays.
   * @param {Entry[] | null} files
   */
  async open(files) {
    const status = find("bundle-status", HTMLElement);
    const failure = find("bundle-error", HTMLElement);
    failure.textContent = "";
    status.textContent = files
      ? "Verifying the bundle\u2026"
      : "Loading the encoder (6 MB) and the engine (14 MB)\u2026";
    document.body.classList.add("loading");
    try {
      const opened = await this.session.client.ask("open", { files, engine: this.engine.value });
      this.files = files;
      this.session.opened = opened;
      status.textContent = `${describeEncoder(opened)} \u00b7 ${describeEngine(opened)}`;
      this.describe(opened);
      this.session.notify();
      announce(`${opened.name} is open`);
    } catch (error) {
      const { opened } = this.session;
      status.textContent = opened
        ? `${describeEncoder(opened)} \u00b7 ${describeEngine(opened)}`
        : "No bundle is open";
      failure.textContent = /** @type {Error} */ (error).message;
    } finally {
      document.body.classList.remove("loading");
    }
  }

  /** @param {Opened} opened */
  describe(opened) {
    find("demo-note", HTMLElement).hidden = !opened.weights.demo;
    find("use-demo", HTMLButtonElement).hidden = !this.files;
    const { size, stride } = opened.geometry;
    const facts = {
      bundle: opened.name,
      weights: `${opened.weights.name} (${opened.weights.source})`,
      "image tower": opened.architecture.image,
      features: `${opened.architecture.features}, ${opened.precision}`,
      windows: `${size} \u00d7 ${size} at stride ${stride}, and the whole`,
      engine: describeEngine(opened),
      ...(opened.engine.note && { "why not WebGPU": opened.engine.note }),
      "prompt pairs": opened.pairs
        .map(({ name, good, bad }) => `${name}: \u201c${good}\u201d / \u201c${bad}\u201d`)
        .join("; "),
    };
    const rows = Object.entries(facts).map(([name, value]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, value)),
    );
    find("bundle-facts", HTMLElement).replaceChildren(...rows);
  }
}

/** @param {Opened} opened */
function describeEncoder({ name, weights }) {
  return weights.demo ? "Demo encoder" : `${name} (${weights.name})`;
}

/** @param {Opened} opened */
function describeEngine({ engine }) {
  if (engine.name === "webgpu") return "WebGPU";
  return `WebAssembly SIMD, ${engine.threads} thread${engine.threads === 1 ? "" : "s"}`;
}
