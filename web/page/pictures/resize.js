/**
 * Pillow's bicubic resize, with which presets are made and small pictures enlarged: columns first, then
 * rows, each rounded to 8 bits; Keys' cubic (a = -0.5), stretched by the scale where the picture becomes
 * smaller. Weights have 22 bits, as Pillow's for 8-bit pictures have: without that, one pixel in 5,000
 * comes out another.
 */

const WEIGHT_UNIT = 2 ** -22;

/** @typedef {import("../method/geometry.js").Frame} Frame */

/**
 * @param {Frame} frame
 * @param {number} width
 * @param {number} height
 * @returns {Frame}
 */
export function resizeBicubic(frame, width, height) {
  const across = width === frame.width ? frame : resizeColumns(frame, width);
  return height === frame.height ? across : transpose(resizeColumns(transpose(across), height));
}

/**
 * @param {Frame} frame
 * @param {number} width
 * @returns {Frame}
 */
function resizeColumns(frame, width) {
  const taps = weighTaps(frame.width, width);
  const data = new Uint8ClampedArray(4 * width * frame.height).fill(255);
  for (let y = 0; y < frame.height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, weights } = taps[x];
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0.5; // rounds halves up, where a clamped array would round them to even
        for (let tap = 0; tap < weights.length; tap++) {
          sum += weights[tap] * frame.data[4 * (y * frame.width + first + tap) + channel];
        }
        data[4 * (y * width + x) + channel] = Math.floor(sum);
      }
    }
  }
  return { data, width, height: frame.height };
}

/**
 * @param {number} source
 * @param {number} target
 */
function weighTaps(source, target) {
  const scale = source / target;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: target }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - 2 * stretch + 0.5));
    const last = Math.min(source, Math.floor(centre + 2 * stretch + 0.5));
    const weights = Array.from({ length: last - first }, (_, tap) =>
      weighCubic((first + tap + 0.5 - centre) / stretch),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => roundWeight(weight / sum)) };
  });
}

/**
 * Halves are rounded away from zero.
 * @param {number} weight
 */
function roundWeight(weight) {
  return Math.sign(weight) * Math.floor(Math.abs(weight) / WEIGHT_UNIT + 0.5) * WEIGHT_UNIT;
}

/** @param {number} distance */
function weighCubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/**
 * @param {Frame} frame
 * @returns {Frame}
 */
function transpose({ data, width, height }) {
  const from = new Uint32Array(data.buffer, data.byteOffset, width * height);
  const to = new Uint32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) to[x * height + y] = from[y * width + x];
  }
  return { data: new Uint8ClampedArray(to.buffer), width: height, height: width };
}
