/**
 * How far the views of a frame have moved, measured on thumbnails of 14 x 14 cells; a cell has two numbers,
 * its brightness and its fine detail. See `maclip_runtime.stream.change`.
 *
 * @typedef {{values: Float32Array, rows: number, columns: number}} Cells `[2, rows, columns]`
 */

export const CELL = 16; // pixels
const LINES = [0, 8]; // in each cell these lines and those below them are read
const BRIGHTNESS_UNIT = 32; // what counts as a change of 1, in 0..255
const DETAIL_FLOOR = 8; // so that noise in a plain surface does not count for much

/**
 * Brightness and detail of a frame's cells.
 * @param {import("../method/geometry.js").Frame} frame
 * @returns {Cells}
 */
export function measureCells({ data, width, height }) {
  const rows = Math.floor(height / CELL);
  const columns = Math.floor(width / CELL);
  const last = columns * CELL - 1; // the last pixel of a line has no neighbour
  const values = new Float32Array(2 * rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let brightness = 0;
      let detail = 0;
      for (const line of LINES) {
        for (let x = column * CELL; x < (column + 1) * CELL; x++) {
          const here = 4 * ((row * CELL + line) * width + x);
          for (let channel = here; channel < here + 3; channel++) {
            const value = data[channel];
            brightness += value;
            detail += Math.abs(value - data[channel + 4 * width]);
            if (x < last) detail += Math.abs(value - data[channel + 4]);
          }
        }
      }
      values[row * columns + column] = brightness / (3 * CELL * LINES.length);
      values[(rows + row) * columns + column] = detail / (3 * CELL * LINES.length);
    }
  }
  return { values, rows, columns };
}

/**
 * The views' thumbnails `[V][2, n, n]`, n = 14 with the published windows: a window those cells that it
 * covers, the global view a choice from the whole frame.
 * @param {Cells} cells
 * @param {import("../method/geometry.js").Geometry} geometry
 * @param {[number, number]} grid
 * @returns {Float32Array[]}
 */
export function cutThumbnails(cells, geometry, grid) {
  const side = Math.max(1, Math.floor(geometry.size / CELL));
  const steps = Array.from({ length: side }, (_, place) => place);
  const pick = (/** @type {number[]} */ rows, /** @type {number[]} */ columns) => {
    const thumbnail = new Float32Array(2 * side * side);
    let place = 0;
    for (const offset of [0, cells.rows]) {
      for (const row of rows) {
        for (const column of columns)
          thumbnail[place++] = cells.values[(offset + row) * cells.columns + column];
      }
    }
    return thumbnail;
  };
  const windows = Array.from({ length: grid[0] * grid[1] }, (_, index) => {
    const top = Math.floor((Math.floor(index / grid[1]) * geometry.stride) / CELL);
    const left = Math.floor(((index % grid[1]) * geometry.stride) / CELL);
    return pick(
      steps.map((step) => top + step),
      steps.map((step) => left + step),
    );
  });
  return [...windows, pick(spread(cells.rows, side), spread(cells.columns, side))];
}

/**
 * `count` indices spread over `length`, as NumPy's linspace cut to integers.
 * @param {number} length
 * @param {number} count
 */
function spread(length, count) {
  const step = (length - 1) / Math.max(count - 1, 1);
  return Array.from({ length: count }, (_, place) =>
    place > 0 && place === count - 1 ? length - 1 : Math.trunc(place * step),
  );
}

/**
 * How far each view has moved, `[V]`: about 0.02 is sensor noise, 0.1 a defocus that shows, 1 another
 * picture.
 * @param {Float32Array[]} before
 * @param {Float32Array[]} after
 * @returns {Float32Array}
 */
export function measureChange(before, after) {
  return Float32Array.from(before, (old, view) => {
    const now = after[view];
    const half = old.length / 2;
    let sum = 0;
    for (let place = 0; place < half; place++) {
      sum += Math.abs(now[place] - old[place]) / BRIGHTNESS_UNIT;
      const [then, detail] = [old[half + place], now[half + place]];
      sum += Math.abs(detail - then) / (Math.min(then, detail) + DETAIL_FLOOR);
    }
    return sum / half;
  });
}

/**
 * How much detail each view has, `[V]`: the mean logarithm, which falls with defocus.
 * @param {Float32Array[]} thumbnails
 * @returns {Float32Array}
 */
export function measureDetail(thumbnails) {
  return Float32Array.from(thumbnails, (thumbnail) => {
    const half = thumbnail.length / 2;
    return thumbnail.subarray(half).reduce((sum, value) => sum + Math.log1p(value), 0) / half;
  });
}
