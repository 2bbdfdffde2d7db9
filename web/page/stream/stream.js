/** A stream: one frame in, one reading out, with the views refreshed in turns. */

import { averageViews } from "../method/head.js";
import { prepareFrame } from "../pictures/prepare.js";
import { ViewBudget } from "./budget.js";
import { measureCells } from "./change.js";
import { Turns } from "./turns.js";

/**
 * @typedef {import("../method/head.js").Quality} Quality
 * @typedef {Quality & {frame: number, views: Quality[], refreshed: number, fresh: number, scene: boolean,
 *   height: number, width: number}} Reading  means, and each view's; height and width of the prepared frame
 */

export class Stream {
  /**
   * @param {import("../scoring/scorer.js").Scorer} scorer
   * @param {number | "all" | "auto"} viewsPerFrame
   * @param {number} budget seconds that a frame may take, for "auto"
   */
  constructor(scorer, viewsPerFrame, budget) {
    this.scorer = scorer;
    this.count = viewsPerFrame;
    this.budget = new ViewBudget(budget);
    this.frame = 0;
    this.size = "";
    /** @type {Turns | null} */
    this.turns = null;
  }

  /**
   * @param {import("../method/geometry.js").Frame} frame
   * @returns {Promise<Reading>}
   */
  async push(frame) {
    const start = performance.now();
    const { frame: prepared } = prepareFrame(frame, "native", this.scorer.geometry.size);
    const turns = this.follow(prepared);
    const count = this.count === "auto" ? this.budget.count : this.count;
    const limit = count === "all" ? turns.views : Math.min(count, turns.views);
    const { chosen, scene } = turns.choose(measureCells(prepared), limit);
    const encoded = await this.scorer.score(prepared, chosen);
    const views = turns.settle(chosen, encoded.map(toRow)).map(fromRow);
    this.budget.record((performance.now() - start) / 1000, turns.views);
    const { height, width } = prepared;
    const { fresh } = turns;
    return {
      ...averageViews(views),
      frame: this.frame++,
      views,
      refreshed: chosen.length,
      fresh,
      scene,
      height,
      width,
    };
  }

  /**
   * The turns of frames of this size: begun anew where it is another than before.
   * @param {import("../method/geometry.js").Frame} frame
   */
  follow(frame) {
    const size = `${frame.width} x ${frame.height}`;
    if (!this.turns || size !== this.size) {
      this.turns = new Turns(this.scorer.geometry, frame.height, frame.width);
      this.size = size;
    }
    return this.turns;
  }
}

/** @param {Quality} quality */
function toRow({ score, similarity, magnitude, weight, attributes }) {
  return [score, similarity, magnitude, weight, ...attributes];
}

/**
 * @param {Float32Array} row
 * @returns {Quality}
 */
function fromRow([score, similarity, magnitude, weight, ...attributes]) {
  return { score, similarity, magnitude, weight, attributes };
}
