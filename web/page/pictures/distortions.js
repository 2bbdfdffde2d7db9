/**
 * What makes a picture worse, with the ranges of `maclip_export.quality.distortions`: a severity of 0
 * changes nothing, 1 is plainly bad. They come in the order of a camera: optics, light, sensor, encoder.
 *
 * @typedef {{blur: number, darken: number, noise: number, compress: number}} Severities each in 0..1
 * @typedef {import("../method/geometry.js").Frame} Frame
 */

import { drawFrame } from "./decode.js";
import { toImageData } from "./preview.js";

export const measureBlur = (/** @type {number} */ severity) => 5 * severity; // standard deviation, pixels
export const measureStops = (/** @type {number} */ severity) => 4.5 * severity; // halvings of the light
export const measureNoise = (/** @type {number} */ severity) => 0.2 * severity; // standard deviation, of the range
export const measureJpegQuality = (/** @type {number} */ severity) => Math.round(95 * (5 / 95) ** severity);

/**
 * @param {Frame} frame
 * @param {Severities} severities
 * @returns {Promise<Frame>}
 */
export async function distort(frame, { blur, darken, noise, compress }) {
  let distorted = frame;
  if (blur) distorted = blurFrame(distorted, measureBlur(blur));
  if (darken) distorted = mapPixels(distorted, (value) => value * 2 ** (-measureStops(darken) / 2.2));
  if (noise) distorted = addNoise(distorted, 255 * measureNoise(noise));
  return compress ? recode(distorted, measureJpegQuality(compress)) : distorted;
}

/**
 * @param {Frame} frame
 * @param {(value: number, place: number) => number} change of a channel's value
 * @returns {Frame}
 */
function mapPixels({ data, width, height }, change) {
  const changed = new Uint8ClampedArray(data);
  for (let place = 0; place < changed.length; place++) {
    if (place % 4 !== 3) changed[place] = change(data[place], place);
  }
  return { data: changed, width, height };
}

/**
 * A separable Gaussian, edges repeated.
 * @param {Frame} frame
 * @param {number} sigma
 */
function blurFrame({ data, width, height }, sigma) {
  const reach = Math.ceil(3 * sigma);
  const kernel = Float32Array.from({ length: 2 * reach + 1 }, (_, tap) =>
    Math.exp(-((tap - reach) ** 2) / (2 * sigma ** 2)),
  );
  const sum = kernel.reduce((total, weight) => total + weight, 0);
  const pass = (
    /** @type {ArrayLike<number>} */ from,
    /** @type {number} */ step,
    /** @type {number} */ length,
  ) => {
    const to = new Float32Array(from.length);
    for (let place = 0; place < from.length; place++) {
      const here = Math.floor(place / step) % length;
      let value = 0;
      for (let tap = -reach; tap <= reach; tap++) {
        const there = Math.min(Math.max(here + tap, 0), length - 1);
        value += kernel[tap + reach] * from[place + (there - here) * step];
      }
      to[place] = value / sum;
    }
    return to;
  };
  return { data: new Uint8ClampedArray(pass(pass(data, 4, width), 4 * width, height)), width, height };
}

/**
 * White noise, the same pattern every time, so that a severity more is the same noise, only stronger.
 * @param {Frame} frame
 * @param {number} deviation
 */
function addNoise(frame, deviation) {
  const draw = makeGenerator(1);
  return mapPixels(frame, (value) => value + deviation * drawNormal(draw));
}

/**
 * @param {Frame} frame
 * @param {number} quality 0 to 100
 */
async function recode(frame, quality) {
  const canvas = new OffscreenCanvas(frame.width, frame.height);
  canvas.getContext("2d")?.putImageData(toImageData(frame), 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: quality / 100 });
  const bitmap = await createImageBitmap(blob);
  const recoded = drawFrame(bitmap);
  bitmap.close();
  return recoded;
}

/**
 * A normal variate, by Box and Muller.
 * @param {() => number} draw
 */
function drawNormal(draw) {
  return Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}

/**
 * Uniform numbers in 0..1 from a linear congruential generator modulo 2^32 (Numerical Recipes' constants).
 * @param {number} seed
 */
function makeGenerator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
