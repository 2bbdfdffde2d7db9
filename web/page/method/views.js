/**
 * Views: what the encoder sees of a frame, cut and brought to CLIP's scale (sections 1 and 2 of the
 * method).
 */

import { countWindows } from "./geometry.js";

/** @typedef {import("./geometry.js").Geometry} Geometry */
/** @typedef {import("./geometry.js").Frame} Frame */

/**
 * The views of these indices as encoder input `[n, 3, S, S]`.
 * @param {Frame} frame
 * @param {Geometry} geometry
 * @param {ArrayLike<number>} views
 * @returns {Float32Array}
 */
export function cutViews(frame, geometry, views) {
  const area = 3 * geometry.size * geometry.size;
  const scale = tabulateScale(geometry);
  const [rows, columns] = countWindows(geometry, frame.height, frame.width);
  const pixels = new Float32Array(views.length * area);
  for (let place = 0; place < views.length; place++) {
    const into = pixels.subarray(place * area, (place + 1) * area);
    const view = views[place];
    if (view === rows * columns) resizeToView(frame, geometry.size, scale, into);
    else {
      const row = Math.floor(view / columns);
      cutWindow(frame, geometry, row, view - row * columns, scale, into);
    }
  }
  return pixels;
}

/**
 * `(RGB / 255 - mean) / std` of every byte of every channel, each step rounded to float32 as NumPy does.
 * @param {Geometry} geometry
 */
function tabulateScale(geometry) {
  const round = Math.fround;
  return geometry.mean.map((mean, channel) =>
    Float32Array.from({ length: 256 }, (_, value) =>
      round(round(round(value / 255) - round(mean)) / round(geometry.std[channel])),
    ),
  );
}

/**
 * @param {Frame} frame
 * @param {Geometry} geometry
 * @param {number} row
 * @param {number} column
 * @param {Float32Array[]} scale
 * @param {Float32Array} into
 */
function cutWindow(frame, geometry, row, column, scale, into) {
  const { size, stride } = geometry;
  const [red, green, blue] = scale;
  const plane = size * size;
  for (let y = 0; y < size; y++) {
    let from = 4 * ((row * stride + y) * frame.width + column * stride);
    for (let to = y * size; to < (y + 1) * size; to++, from += 4) {
      into[to] = red[frame.data[from]];
      into[plane + to] = green[frame.data[from + 1]];
      into[2 * plane + to] = blue[frame.data[from + 2]];
    }
  }
}

/**
 * The global view: the whole frame, bilinear on normalised pixels, half-pixel centres, no antialiasing.
 * @param {Frame} frame
 * @param {number} size
 * @param {Float32Array[]} scale
 * @param {Float32Array} into
 */
function resizeToView(frame, size, scale, into) {
  const rows = findTaps(frame.height, size);
  const columns = findTaps(frame.width, size);
  for (let channel = 0; channel < 3; channel++) {
    const table = scale[channel];
    const at = (/** @type {number} */ y, /** @type {number} */ x) =>
      table[frame.data[4 * (y * frame.width + x) + channel]];
    for (let y = 0; y < size; y++) {
      const down = rows.weight[y];
      for (let x = 0; x < size; x++) {
        const across = columns.weight[x];
        const left = columns.lower[x];
        const right = columns.upper[x];
        const above = at(rows.lower[y], left) * (1 - across) + at(rows.lower[y], right) * across;
        const below = at(rows.upper[y], left) * (1 - across) + at(rows.upper[y], right) * across;
        into[(channel * size + y) * size + x] = above * (1 - down) + below * down;
      }
    }
  }
}

/**
 * Lower index, upper index and upper weight of each of `target` samples, computed in float32 as PyTorch
 * does.
 * @param {number} source
 * @param {number} target
 */
function findTaps(source, target) {
  const round = Math.fround;
  const factor = round(source / target);
  const lower = new Int32Array(target);
  const upper = new Int32Array(target);
  const weight = new Float32Array(target);
  for (let place = 0; place < target; place++) {
    const centre = Math.max(round(round((place + 0.5) * factor) - 0.5), 0);
    lower[place] = Math.floor(centre);
    upper[place] = Math.min(lower[place] + 1, source - 1);
    weight[place] = centre - lower[place];
  }
  return { lower, upper, weight };
}
