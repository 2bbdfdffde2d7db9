/**
 * Turns of views: which views of a frame to encode, and what the others are taken to be, decision for
 * decision as `maclip_runtime.stream.turns` has it; docs/streams.md tells the rules.
 */

import { countWindows, findDivisor } from "../method/geometry.js";
import { cutThumbnails, measureChange, measureDetail } from "./change.js";

/** @typedef {import("../method/geometry.js").Geometry} Geometry */

// The constants of the Python module, by the same names. Changes are in the unit of `measureChange`.
const SUDDEN = 0.15;
const SUDDEN_RATIO = 3;
const MOTION_GAIN = 0.3;
const FLOOR_RISE = 1.02;
const SCENE = 0.5;
const FULL_CHANGE = 0.6;
const CHANGE_WEIGHT = 1;
const PATIENCE = 4;
const FORGET = 0.6;
const RIDGE = 0.005;
const REACH = 1;
const FAR = 0.01;

export class Turns {
  /**
   * @param {Geometry} geometry
   * @param {number} height of the frames, at least S
   * @param {number} width
   */
  constructor(geometry, height, width) {
    this.geometry = geometry;
    this.grid = countWindows(geometry, height, width);
    this.views = this.grid[0] * this.grid[1] + 1;
    this.order = orderViews(this.views);
    this.nearness = measureNearness(this.grid);
    this.frame = 0;
    this.refreshed = new Int32Array(this.views).fill(-1); // the frame of each view's last refresh
    this.stale = new Array(this.views).fill(true);
    /** @type {Float32Array[] | null} this frame's thumbnails */
    this.now = null;
    /** @type {Float32Array[]} each view's thumbnail at its last refresh */
    this.then = [];
    // What noise alone moves a view from frame to frame: unknown until there are two frames.
    this.floor = new Float32Array(this.views).fill(Infinity);
    this.motion = new Float32Array(this.views);
    /** @type {Float32Array[]} `[V][C]`, each view's at its last refresh */
    this.values = [];
    /** @type {Float32Array} `[C]`, sums of the least squares */
    this.detailByValue = new Float32Array(0);
    this.detailSquared = 0;
  }

  /** The part of the views, 0..1, that are not stale. */
  get fresh() {
    return 1 - this.stale.filter(Boolean).length / this.views;
  }

  /**
   * The `count` views of the next frame to encode, ascending, and whether a scene begins with it. Every
   * frame of the stream passes through here in its order; `settle` follows it, or does not where the views
   * could not be encoded.
   * @param {import("./change.js").Cells} cells
   * @param {number} count
   * @returns {{chosen: number[], scene: boolean}}
   */
  choose(cells, count) {
    const now = cutThumbnails(cells, this.geometry, this.grid);
    let scene = true;
    if (this.now) scene = this.markStale(this.now, now);
    else this.then = [...now];
    this.now = now;
    const chosen = this.rankViews(now, count).slice(0, count);
    return { chosen: chosen.sort((first, second) => first - second), scene };
  }

  /**
   * Take in what the chosen views gave, `[n][C]`, and say what all are, `[V][C]`.
   * @param {number[]} chosen
   * @param {ArrayLike<number>[]} values
   * @returns {Float32Array[]}
   */
  settle(chosen, values) {
    if (!this.now) throw new Error("choose comes first");
    if (!this.values.length) {
      this.values = Array.from({ length: this.views }, () => new Float32Array(values[0].length));
      this.detailByValue = new Float32Array(values[0].length);
    }
    const then = measureDetail(this.then);
    const moved = measureDetail(this.now).map((detail, view) => detail - then[view]);
    this.learn(chosen, values, moved);
    chosen.forEach((view, place) => {
      this.values[view] = Float32Array.from(values[place]);
      this.then[view] = /** @type {Float32Array[]} */ (this.now)[view];
      this.refreshed[view] = this.frame;
      this.stale[view] = false;
      moved[view] = 0;
    });
    this.frame++;
    const slope = this.detailByValue.map((sum) => sum / (this.detailSquared + RIDGE));
    return this.fillStale(
      this.values.map((row, view) => row.map((value, c) => value + moved[view] * slope[c])),
    );
  }

  /**
   * Mark the views that change suddenly; all of them where a scene begins, which is returned.
   * @param {Float32Array[]} before
   * @param {Float32Array[]} now
   */
  markStale(before, now) {
    const step = measureChange(before, now);
    if (step.every((change) => change === 0)) return false; // the same frame once more says nothing about noise
    this.floor = this.floor.map((floor, view) => Math.min(floor * FLOOR_RISE, step[view]));
    const beyond = step.map((change, view) => change - this.floor[view]);
    const sudden = Array.from(
      beyond,
      (change, view) => change > Math.max(SUDDEN, SUDDEN_RATIO * this.motion[view]),
    );
    if (sudden.filter(Boolean).length / this.views > SCENE) {
      this.stale.fill(true);
      return true;
    }
    this.stale = this.stale.map((stale, view) => stale || sudden[view]);
    this.motion = this.motion.map((motion, view) => motion + MOTION_GAIN * (beyond[view] - motion));
    return false;
  }

  /**
   * All views, the most urgent first: those that waited for four rounds, then stale ones, then by age and
   * change.
   * @param {Float32Array[]} now
   * @param {number} count
   */
  rankViews(now, count) {
    const moved = measureChange(this.then, now).map((change, view) =>
      Math.max(change - this.floor[view], 0),
    );
    // What moves all views alike, a defocus, is no reason to prefer those with the most detail.
    const usual = findMedian(moved);
    const keys = Array.from(moved, (change, view) => {
      const age = this.frame - this.refreshed[view];
      const part = Math.min(Math.max(change - usual, 0) / FULL_CHANGE, 1);
      const urgency = this.stale[view] ? Infinity : age * (1 + CHANGE_WEIGHT * part);
      return {
        view,
        waited: age > (PATIENCE * this.views) / count ? age : 0,
        urgency,
        order: this.order[view],
      };
    });
    keys.sort(
      (a, b) =>
        b.waited - a.waited || (a.urgency === b.urgency ? a.order - b.order : b.urgency - a.urgency),
    );
    return keys.map((key) => key.view);
  }

  /**
   * How far values go when detail moves: least squares through 0, forgetting.
   * @param {number[]} chosen
   * @param {ArrayLike<number>[]} values
   * @param {Float32Array} moved
   */
  learn(chosen, values, moved) {
    const byValue = this.detailByValue.map((sum) => FORGET * sum);
    let squared = FORGET * this.detailSquared;
    chosen.forEach((view, place) => {
      if (this.stale[view]) return;
      squared += moved[view] ** 2;
      byValue.forEach((_, c) => (byValue[c] += moved[view] * (values[place][c] - this.values[view][c])));
    });
    this.detailByValue = byValue;
    this.detailSquared = squared;
  }

  /**
   * Replace the values of stale views by those of the fresh windows around them.
   * @param {Float32Array[]} values
   */
  fillStale(values) {
    return values.map((row, view) => {
      if (!this.stale[view]) return row;
      const weights = this.nearness[view].map((weight, other) => (this.stale[other] ? 0 : weight));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      return row.map((_, c) =>
        weights.reduce((sum, weight, other) => sum + (weight / total) * values[other][c], 0),
      );
    });
  }
}

/**
 * Each view's place in an order that soon covers the frame: the global view, then steps of the golden
 * section.
 * @param {number} views
 */
function orderViews(views) {
  const windows = views - 1;
  let step = Math.max(1, roundToEven((windows * (Math.sqrt(5) - 1)) / 2));
  while (findDivisor(step, windows) !== 1) step++;
  const place = new Int32Array(views);
  for (let turn = 0; turn < windows; turn++)
    place[(Math.floor(windows / 2) + step * turn) % windows] = 1 + turn;
  return place;
}

/**
 * How much each view speaks for each other one: a Gaussian of the distance in the grid.
 * @param {[number, number]} grid
 * @returns {Float32Array[]} `[V][V]`
 */
function measureNearness([rows, columns]) {
  const windows = rows * columns;
  return Array.from({ length: windows + 1 }, (_, view) =>
    Float32Array.from({ length: windows + 1 }, (_, other) => {
      // The global view shows the frame at another scale, and speaks only where no window is fresh.
      if (other === windows) return 1e-3 * FAR;
      if (view === windows) return FAR;
      const down = Math.floor(view / columns) - Math.floor(other / columns);
      const across = (view % columns) - (other % columns);
      return FAR + Math.exp(-(down ** 2 + across ** 2) / (2 * REACH ** 2));
    }),
  );
}

/** @param {Float32Array} values */
function findMedian(values) {
  const sorted = values.slice().sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : Math.fround((sorted[middle - 1] + sorted[middle]) / 2);
}

/**
 * As Python rounds: halves to the even neighbour.
 * @param {number} value
 */
function roundToEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 ? floor + 1 : floor;
}
