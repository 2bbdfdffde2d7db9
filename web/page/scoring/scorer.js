/** The scorer: a frame in, the quality of its views out. */

import { openBundle } from "../bundle/bundle.js";
import { countViews } from "../method/geometry.js";
import { scoreViews } from "../method/head.js";
import { cutViews } from "../method/views.js";
import { openEngine } from "./engine.js";

/** @typedef {import("../method/geometry.js").Frame} Frame */
/** @typedef {import("../method/head.js").Quality} Quality */

export class Scorer {
  /**
   * @param {import("../bundle/bundle.js").Bundle} bundle
   * @param {import("../method/head.js").Method} method
   * @param {import("./engine.js").Engine} engine
   */
  constructor(bundle, method, engine) {
    this.bundle = bundle;
    this.method = method;
    this.engine = engine;
    this.geometry = bundle.manifest.method.views;
  }

  /**
   * @param {import("../bundle/bundle.js").Folder} folder
   * @param {object} schema of manifests
   * @param {import("./engine.js").EngineChoice} choice
   */
  static async open(folder, schema, choice) {
    const bundle = await openBundle(folder, schema);
    const method = await bundle.loadMethod();
    const graph = await bundle.read(bundle.encoder);
    return new Scorer(bundle, method, await openEngine(graph, choice, bundle.manifest.method.views.size));
  }

  /**
   * The quality of the views of these indices, by default of all, the global view last.
   * @param {Frame} frame prepared
   * @param {number[]} [views]
   * @param {(done: number, total: number) => void} [report]
   * @returns {Promise<Quality[]>}
   */
  async score(frame, views, report = () => {}) {
    const wanted =
      views ?? Array.from({ length: countViews(this.geometry, frame.height, frame.width) }, (_, i) => i);
    /** @type {Quality[]} */
    const scored = [];
    for (let start = 0; start < wanted.length; start += this.engine.batch) {
      const batch = wanted.slice(start, start + this.engine.batch);
      const features = await this.engine.encode(cutViews(frame, this.geometry, batch), batch.length);
      scored.push(...scoreViews(features, this.method));
      report(scored.length, wanted.length);
      await takeMessages();
    }
    return scored;
  }
}

/** Let other requests begin: a large picture does not hold up a small one. */
function takeMessages() {
  return new Promise((resolve) => setTimeout(resolve));
}
