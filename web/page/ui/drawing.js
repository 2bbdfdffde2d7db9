/** Pictures and their maps, drawn on canvases. */

import { SCALE } from "./colours.js";

/** @typedef {import("../method/quality-map.js").QualityMap} QualityMap */

const UNSEEN = 0.35; // how much of the picture shows where no window saw it
const DETAIL = 0.7; // how strongly the picture's fine detail shows in the map
const BLUR = 24; // pixels that make one, to tell fine detail from the rest

/** @typedef {{preview: ImageBitmap, orientation: number}} Shown */

// For each of EXIF's orientations what turns a picture of w x h pixels upright, as `setTransform` takes it.
/** @type {Record<number, (w: number, h: number) => [number, number, number, number, number, number]>} */
const TURNS = {
  1: () => [1, 0, 0, 1, 0, 0],
  2: (w) => [-1, 0, 0, 1, w, 0],
  3: (w, h) => [-1, 0, 0, -1, w, h],
  4: (_, h) => [1, 0, 0, -1, 0, h],
  5: () => [0, 1, 1, 0, 0, 0],
  6: (_, h) => [0, 1, -1, 0, h, 0],
  7: (w, h) => [0, -1, -1, 0, h, w],
  8: (w) => [0, -1, 1, 0, 0, w],
};

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Shown} shown
 */
export function drawPicture(canvas, { preview, orientation }) {
  drawUpright(canvas, preview, orientation);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {ImageBitmap | OffscreenCanvas} stored
 * @param {number} orientation
 */
function drawUpright(canvas, stored, orientation) {
  const { width, height } = stored;
  [canvas.width, canvas.height] = orientation > 4 ? [height, width] : [width, height];
  const context = canvas.getContext("2d");
  context?.setTransform(...TURNS[orientation](width, height));
  context?.drawImage(stored, 0, 0);
}

/**
 * The map in colour over the picture, with the picture's fine detail on top so that one sees where one is;
 * what no window saw shows the picture itself, faint and gray.
 * @param {HTMLCanvasElement} canvas
 * @param {Shown} shown
 * @param {QualityMap} map
 * @param {[number, number]} span values of the first and last colour
 */
export function drawMap(canvas, { preview, orientation }, map, span) {
  const { width, height } = preview;
  const stored = new OffscreenCanvas(width, height);
  const context = stored.getContext("2d", { willReadFrequently: true });
  if (!context) return;
  context.drawImage(preview, 0, 0);
  const image = context.getImageData(0, 0, width, height);
  const coarse = blur(preview);
  const paper = readPaper(canvas);
  const colours = colourMap(map, Math.round(map.right * width), Math.round(map.bottom * height), span);
  const weigh = (/** @type {Uint8ClampedArray} */ rgba, /** @type {number} */ place) =>
    0.299 * rgba[place] + 0.587 * rgba[place + 1] + 0.114 * rgba[place + 2];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const place = 4 * (y * width + x);
      const gray = weigh(image.data, place);
      const seen = x < colours.width && y < colours.height;
      const detail = DETAIL * (gray - weigh(coarse.data, place));
      for (let channel = 0; channel < 3; channel++) {
        image.data[place + channel] = seen
          ? colours.data[4 * (y * colours.width + x) + channel] + detail
          : paper[channel] + (gray - paper[channel]) * UNSEEN;
      }
    }
  }
  context.putImageData(image, 0, 0);
  drawUpright(canvas, stored, orientation);
}

/**
 * The map's colours alone, as large as asked for.
 * @param {QualityMap} map
 * @param {number} width
 * @param {number} height
 * @param {[number, number]} span
 */
export function colourMap({ values, rows, columns }, width, height, [low, high]) {
  const image = new ImageData(Math.max(1, width), Math.max(1, height));
  const across = Array.from({ length: image.width }, (_, x) => findTaps(x, image.width, columns));
  let to = 0;
  for (let y = 0; y < image.height; y++) {
    const [top, bottom, down] = findTaps(y, image.height, rows);
    for (const [left, right, along] of across) {
      const above = values[top * columns + left] * (1 - along) + values[top * columns + right] * along;
      const below =
        values[bottom * columns + left] * (1 - along) + values[bottom * columns + right] * along;
      const part = (above * (1 - down) + below * down - low) / (high - low);
      const colour = SCALE[Math.round(255 * Math.min(Math.max(part, 0), 1))];
      image.data[to++] = colour[0];
      image.data[to++] = colour[1];
      image.data[to++] = colour[2];
      image.data[to++] = 255;
    }
  }
  return image;
}

/**
 * @param {number} place
 * @param {number} target
 * @param {number} source
 * @returns {[number, number, number]} lower index, upper index, upper weight
 */
function findTaps(place, target, source) {
  const centre = Math.min(Math.max(((place + 0.5) * source) / target - 0.5, 0), source - 1);
  const lower = Math.floor(centre);
  return [lower, Math.min(lower + 1, source - 1), centre - lower];
}

/**
 * The colour that lies behind a canvas, which the light or dark scheme decides.
 * @param {HTMLCanvasElement} canvas
 */
function readPaper(canvas) {
  const colour = getComputedStyle(canvas.parentElement ?? canvas).backgroundColor;
  return (colour.match(/\d+/g) ?? ["128", "128", "128"]).map(Number);
}

/** @param {ImageBitmap} picture */
function blur(picture) {
  const { width, height } = picture;
  const small = new OffscreenCanvas(
    Math.max(2, Math.round(width / BLUR)),
    Math.max(2, Math.round(height / BLUR)),
  );
  const large = new OffscreenCanvas(width, height);
  const [shrink, grow] = [small.getContext("2d"), large.getContext("2d", { willReadFrequently: true })];
  if (!shrink || !grow) return new ImageData(width, height);
  shrink.imageSmoothingQuality = "high";
  shrink.drawImage(picture, 0, 0, small.width, small.height);
  grow.imageSmoothingQuality = "high";
  grow.drawImage(small, 0, 0, width, height);
  return grow.getImageData(0, 0, width, height);
}
