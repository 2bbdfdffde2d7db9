/**
 * What the parts of the page share: the worker, the bundle that is open, and who wants to know when it
 * changes.
 *
 * @typedef {import("../method/head.js").Quality} Quality
 * @typedef {import("../worker.js").Scored} Scored
 * @typedef {{name: string, pairs: import("../bundle/manifest.js").PromptPair[],
 * weights: {name: string, source: string, demo: boolean}, architecture: {image: string, features:
 *   number},
 *   geometry: import("../method/geometry.js").Geometry, precision: string,
 *   engine: {name: string, threads: number, note: string}}} Opened
 */

import { blendWindows } from "../method/quality-map.js";
import { pickQuantity } from "./figures.js";

export class Session {
  /** @param {import("../client.js").Client} client */
  constructor(client) {
    this.client = client;
    /** @type {Opened | null} */
    this.opened = null;
    /** @type {import("../pictures/prepare.js").Preset} */
    this.preset = "native";
    /** @type {(() => void)[]} */
    this.listeners = [];
  }

  /** The attributes' names. */
  get pairs() {
    return this.opened?.pairs.map((pair) => pair.name) ?? [];
  }

  /**
   * Call this now if a bundle is open, and whenever scores become others: another bundle, engine or preset.
   * @param {() => void} listener
   */
  whenChanged(listener) {
    this.listeners.push(listener);
    if (this.opened) listener();
  }

  notify() {
    this.listeners.forEach((listener) => listener());
  }

  /**
   * The map of a quantity from the values of all views.
   * @param {{perView: Quality[], frameHeight: number, frameWidth: number}} scored
   * @param {string} quantity
   */
  makeMap({ perView, frameHeight, frameWidth }, quantity) {
    if (!this.opened) throw new Error("no bundle is open");
    const values = perView.slice(0, -1).map((view) => pickQuantity(view, quantity, this.pairs));
    return blendWindows(values, this.opened.geometry, frameHeight, frameWidth);
  }
}
