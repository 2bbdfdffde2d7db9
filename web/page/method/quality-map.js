/**
 * Quality maps: where in a frame a quantity is high or low, from its values per window; the windows that
 * saw a place are blended by a separable Hann kernel as wide as a window. See
 * `maclip_runtime.method.quality_map`.
 *
 * @typedef {object} QualityMap
 * @property {Float32Array} values `[rows, columns]`
 * @property {number} rows
 * @property {number} columns
 * @property {number} cell pixels of the prepared frame
 * @property {number} right where the map ends, as a part of the frame's width; it begins at the top left
 * @property {number} bottom the same of its height
 */

import { countWindows, findDivisor } from "./geometry.js";

/**
 * @param {ArrayLike<number>} values of the windows `[V - 1]`, row by row, the global view left out
 * @param {import("./geometry.js").Geometry} geometry
 * @param {number} height of the prepared frame
 * @param {number} width
 * @returns {QualityMap}
 */
export function blendWindows(values, geometry, height, width) {
  const [rows, columns] = countWindows(geometry, height, width);
  if (values.length !== rows * columns)
    throw new RangeError(`${rows} x ${columns} windows need as many values`);
  const cell = findDivisor(geometry.size, geometry.stride);
  const down = weighWindows(rows, geometry, cell);
  const across = weighWindows(columns, geometry, cell);
  const blended = new Float32Array(down.length * across.length);
  // Blending what exceeds the minimum keeps constants exact.
  const lowest = Array.from(values).reduce((low, value) => Math.min(low, value), Infinity);
  down.forEach((rowWeights, y) => {
    const line = across[0].map((_, column) =>
      rowWeights.reduce((sum, weight, row) => sum + weight * (values[row * columns + column] - lowest), 0),
    );
    across.forEach((weights, x) => {
      blended[y * across.length + x] = weights.reduce(
        (sum, weight, column) => sum + weight * line[column],
        lowest,
      );
    });
  });
  return {
    values: blended,
    rows: down.length,
    columns: across.length,
    cell,
    right: (across.length * cell) / width,
    bottom: (down.length * cell) / height,
  };
}

/**
 * The weight of each window in each cell along one axis, `[cells][count]`; rows sum to 1.
 * @param {number} count
 * @param {import("./geometry.js").Geometry} geometry
 * @param {number} cell
 */
function weighWindows(count, { size, stride }, cell) {
  const cells = Math.floor(((count - 1) * stride + size) / cell);
  return Array.from({ length: cells }, (_, place) => {
    const weights = Array.from({ length: count }, (_, window) => {
      const distance = Math.abs((place + 0.5) * cell - (window * stride + size / 2)) / size;
      return distance < 0.5 ? Math.cos(Math.PI * distance) ** 2 : 0;
    });
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => weight / sum);
  });
}
