/** The laboratory: sliders make a picture worse, and its score follows. */

import { measureBlur, measureJpegQuality, measureNoise, measureStops } from "../pictures/distortions.js";
import { describeGradient, spanValues } from "./colours.js";
import { drawMap, drawPicture } from "./drawing.js";
import { announce, fillChoices, find } from "./elements.js";
import { format, formatChange, listQuantities, pickQuantity, showAttributes } from "./figures.js";

/** @typedef {import("../pictures/distortions.js").Severities} Severities */
/** @typedef {import("./session.js").Scored} Scored */

/** @type {[keyof Severities, (severity: number) => string][]} */
const SLIDERS = [
  ["blur", (severity) => `\u03c3 ${measureBlur(severity).toFixed(1)} px`],
  ["darken", (severity) => `\u2212${measureStops(severity).toFixed(1)} stops`],
  ["compress", (severity) => `JPEG ${measureJpegQuality(severity)}`],
  ["noise", (severity) => `\u03c3 ${(255 * measureNoise(severity)).toFixed(0)} of 255`],
];
const NONE = { blur: 0, darken: 0, noise: 0, compress: 0 };

export class Lab {
  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    this.name = "";
    /** @type {Blob | null} */
    this.picture = null;
    /** @type {Scored | null} as the picture was given */
    this.original = null;
    /** @type {Scored | null} */
    this.current = null;
    this.running = false;
    this.wanted = false;
    this.canvas = find("lab-canvas", HTMLCanvasElement);
    this.quantity = find("lab-quantity", HTMLSelectElement);
    for (const [name] of SLIDERS) {
      find(name, HTMLInputElement).addEventListener("input", () => this.follow());
    }
    find("lab-reset", HTMLButtonElement).addEventListener("click", () => this.reset());
    this.quantity.addEventListener("change", () => this.draw());
    for (const id of ["show-picture", "show-map"])
      find(id, HTMLInputElement).addEventListener("change", () => this.draw());
    find("lab-scale", HTMLElement).style.backgroundImage = describeGradient();
    this.describeSliders();
    session.whenChanged(() => this.restart());
  }

  /**
   * Take a picture; the sliders go back.
   * @param {Blob} picture
   * @param {string} name
   */
  async open(picture, name) {
    this.picture = picture;
    this.name = name;
    this.putBack();
    for (const chip of document.querySelectorAll("[data-sample]")) {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("data-sample") === name));
    }
    if (!this.session.opened) await this.showUnscored(picture);
    await this.restart();
  }

  /** The sliders' positions, each in 0..1. */
  get severities() {
    const positions = SLIDERS.map(([name]) => [name, Number(find(name, HTMLInputElement).value) / 100]);
    return /** @type {Severities} */ (Object.fromEntries(positions));
  }

  get untouched() {
    return Object.values(this.severities).every((severity) => severity === 0);
  }

  /** The picture as the sliders make it, as a file, and the orientation to show it by. */
  async save() {
    const { picture, orientation } = await this.session.client.ask("save", { severities: this.severities });
    const stem = this.name.replace(/\.[^.]*$/, "");
    const what = SLIDERS.filter(([name]) => this.severities[name]).map(([name]) => name);
    const file = new File([picture], `${[stem, ...what].join("-")}.png`, { type: picture.type });
    return { file, orientation };
  }

  /**
   * Show a picture before there is anything to score it with.
   * @param {Blob} picture
   */
  async showUnscored(picture) {
    const preview = await createImageBitmap(picture).catch(() => null);
    if (preview && !this.session.opened) drawPicture(this.canvas, { preview, orientation: 1 });
  }

  async restart() {
    const { picture, name } = this;
    if (!picture || !this.session.opened) return;
    fillChoices(this.quantity, listQuantities(this.session.pairs));
    const { client } = this.session;
    try {
      const held = await client.ask("hold", { picture, name });
      const original = await client.ask("distort", { severities: NONE });
      if (picture !== this.picture) return;
      this.original = original;
      find("lab-name", HTMLElement).textContent = name;
      const shown = held.scaled
        ? `, scaled to ${held.width} \u00d7 ${held.height} so that it can follow`
        : "";
      find("lab-note", HTMLElement).textContent = `${original.perView.length} views${shown}`;
      this.fail("");
      await this.follow();
    } catch (error) {
      if (picture === this.picture) this.fail(/** @type {Error} */ (error).message);
    }
  }

  reset() {
    this.putBack();
    return this.follow();
  }

  putBack() {
    SLIDERS.forEach(([name]) => (find(name, HTMLInputElement).value = "0"));
    this.describeSliders();
  }

  describeSliders() {
    for (const [name, describe] of SLIDERS) {
      const slider = find(name, HTMLInputElement);
      const text = Number(slider.value) ? describe(Number(slider.value) / 100) : "none";
      slider.setAttribute("aria-valuetext", text);
      find(`${name}-value`, HTMLElement).textContent = text;
    }
  }

  /** Score what the sliders say now; one score at a time, the latest positions win. */
  async follow() {
    this.describeSliders();
    this.wanted = true;
    if (this.running || !this.original) return;
    this.running = true;
    try {
      while (this.wanted) {
        this.wanted = false;
        /** @type {Scored | null} */
        const held = this.original;
        const scored = this.untouched
          ? held
          : await this.session.client.ask("distort", { severities: this.severities });
        if (held === this.original) this.show(scored);
      }
      this.announceScore();
    } catch (error) {
      this.fail(/** @type {Error} */ (error).message);
    } finally {
      this.running = false;
    }
  }

  /** @param {Scored} scored */
  show(scored) {
    this.current = scored;
    const { means } = scored;
    const before = /** @type {Scored} */ (this.original).means;
    find("lab-score", HTMLElement).textContent = format(means.score);
    const change = means.score - before.score;
    const shown = find("lab-change", HTMLElement);
    const moved = Math.abs(change) >= 0.0005;
    shown.textContent = moved ? `${formatChange(change)}, was ${format(before.score)}` : "as it is";
    shown.classList.toggle("worse", moved && change < 0);
    find("lab-similarity", HTMLElement).textContent = format(means.similarity);
    find("lab-magnitude", HTMLElement).textContent = format(means.magnitude);
    find("lab-time", HTMLElement).textContent = `${Math.round(scored.milliseconds)} ms`;
    showAttributes(
      find("lab-attributes", HTMLElement),
      this.session.pairs,
      means.attributes,
      before.attributes,
    );
    find("lab", HTMLElement).classList.add("ready");
    this.draw();
  }

  draw() {
    const { current, original, quantity } = this;
    if (!current || !original) return;
    const asMap = find("show-map", HTMLInputElement).checked;
    find("lab-legend", HTMLElement).hidden = !asMap;
    const name = quantity.value || "score";
    const value = format(pickQuantity(current.means, name, this.session.pairs));
    if (!asMap) {
      drawPicture(this.canvas, current);
      this.canvas.setAttribute("aria-label", `${this.name}, score ${format(current.means.score)}`);
      return;
    }
    const map = this.session.makeMap(current, name);
    // The colours also span the original's map, so that a picture that becomes worse becomes darker.
    const span = spanValues([...map.values, ...this.session.makeMap(original, name).values]);
    drawMap(this.canvas, current, map, span);
    this.canvas.setAttribute("aria-label", `Quality map of ${this.name}: ${name} ${value} as the mean`);
    find("lab-low", HTMLElement).textContent = span[0].toFixed(2);
    find("lab-high", HTMLElement).textContent = span[1].toFixed(2);
  }

  announceScore() {
    if (!this.current || !this.original) return;
    const change = this.current.means.score - this.original.means.score;
    announce(`Score ${format(this.current.means.score)}, ${formatChange(change)} from the original`);
  }

  /** @param {string} message */
  fail(message) {
    find("lab-error", HTMLElement).textContent = message;
  }
}
