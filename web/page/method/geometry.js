/**
 * Which views a frame has (section 1 of the method): every S x S window at stride T, row by row from the
 * top left, and last the whole frame.
 *
 * @typedef {{size: number, stride: number, mean: number[], std: number[]}} Geometry
 * @typedef {{data: Uint8ClampedArray, width: number, height: number}} Frame  RGBA, whose alpha is not read
 */

/**
 * Rows and columns of windows in a frame of at least S x S pixels.
 * @param {Geometry} geometry
 * @param {number} height
 * @param {number} width
 * @returns {[number, number]}
 */
export function countWindows(geometry, height, width) {
  const along = (/** @type {number} */ side) => 1 + Math.floor((side - geometry.size) / geometry.stride);
  return [along(height), along(width)];
}

/**
 * The number of views V: the windows and the global view.
 * @param {Geometry} geometry
 * @param {number} height
 * @param {number} width
 */
export function countViews(geometry, height, width) {
  const [rows, columns] = countWindows(geometry, height, width);
  return rows * columns + 1;
}

/**
 * The greatest common divisor.
 * @param {number} first
 * @param {number} second
 * @returns {number}
 */
export function findDivisor(first, second) {
  return second ? findDivisor(second, first % second) : first;
}
