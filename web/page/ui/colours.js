/**
 * The colour scale of maps, as `maclip_runtime.report.colours` makes it: a path through OKLab (Ottosson,
 * 2020) from dark violet to light yellow whose lightness only rises, in equal steps.
 */

const LIGHTNESS = [0.27, 0.95];
const HUE = [305, 105]; // degrees
const CHROMA = [0.14, 0.05, 0.16]; // a quadratic Bezier curve
const LMS_OF_LAB = [
  [1, 0.3963377774, 0.2158037573],
  [1, -0.1055613458, -0.0638541728],
  [1, -0.0894841775, -1.291485548],
];
const RGB_OF_LMS = [
  [4.0767416621, -3.3077115913, 0.2309699292],
  [-1.2684380046, 2.6097574011, -0.3413193965],
  [-0.0041960863, -0.7034186147, 1.707614701],
];
const STEPS = 256;
const LEAST_SPAN = 0.1; // smaller differences would look as large as real ones

/** The scale's 256 colours, lowest value first. */
export const SCALE = makeScale();

/** The scale as a CSS gradient. */
export function describeGradient() {
  const stops = Array.from(
    { length: 9 },
    (_, stop) => `rgb(${SCALE[Math.round((stop * (STEPS - 1)) / 8)].join(" ")})`,
  );
  return `linear-gradient(90deg, ${stops.join(", ")})`;
}

/**
 * Round bounds around values, at least 0.1 apart.
 * @param {ArrayLike<number>} values
 * @returns {[number, number]}
 */
export function spanValues(values) {
  let [low, high] = findRange(values);
  const short = Math.max(0, LEAST_SPAN - (high - low)) / 2;
  [low, high] = [low - short, high + short];
  const power = 10 ** Math.floor(Math.log10((high - low) / 10));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= ((high - low) / 10) * 0.999) ?? 10;
  const step = factor * power;
  return [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
}

/**
 * The lowest and the highest of values, of however many.
 * @param {ArrayLike<number>} values
 * @returns {[number, number]}
 */
export function findRange(values) {
  let [low, high] = [Infinity, -Infinity];
  for (let place = 0; place < values.length; place++) {
    low = Math.min(low, values[place]);
    high = Math.max(high, values[place]);
  }
  return [low, high];
}

/** @returns {number[][]} */
function makeScale() {
  const path = Array.from({ length: 4096 }, (_, place) => traverse(place / 4095));
  const length = [0];
  for (let place = 1; place < path.length; place++) {
    length.push(
      length[place - 1] + Math.hypot(...path[place].map((value, axis) => value - path[place - 1][axis])),
    );
  }
  let place = 0;
  return Array.from({ length: STEPS }, (_, step) => {
    const wanted = (length[length.length - 1] * step) / (STEPS - 1);
    while (place < length.length - 2 && length[place + 1] < wanted) place++;
    const part = (wanted - length[place]) / (length[place + 1] - length[place]);
    return encode(path[place].map((value, axis) => value + part * (path[place + 1][axis] - value)));
  });
}

/**
 * A point of the path, in OKLab.
 * @param {number} part 0..1
 */
function traverse(part) {
  const hue = ((HUE[0] + (HUE[1] - HUE[0]) * part) * Math.PI) / 180;
  const chroma = CHROMA[0] * (1 - part) ** 2 + 2 * CHROMA[1] * part * (1 - part) + CHROMA[2] * part ** 2;
  return [
    LIGHTNESS[0] + (LIGHTNESS[1] - LIGHTNESS[0]) * part,
    chroma * Math.cos(hue),
    chroma * Math.sin(hue),
  ];
}

/**
 * OKLab to sRGB bytes.
 * @param {number[]} lab
 */
function encode(lab) {
  const multiply = (/** @type {number[][]} */ matrix, /** @type {number[]} */ vector) =>
    matrix.map((row) => row.reduce((sum, factor, axis) => sum + factor * vector[axis], 0));
  const linear = multiply(
    RGB_OF_LMS,
    multiply(LMS_OF_LAB, lab).map((value) => value ** 3),
  );
  return linear.map((value) => {
    const light = Math.min(Math.max(value, 0), 1);
    return Math.round(255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055));
  });
}
