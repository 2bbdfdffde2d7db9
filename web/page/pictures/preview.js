/** Small bitmaps of frames, for the page to show. */

import { drawFrame } from "./decode.js";

const SIDE = 512; // pixels at most

/**
 * @param {import("../method/geometry.js").Frame} frame
 * @param {number} [side]
 * @returns {Promise<ImageBitmap>}
 */
export async function makePreview(frame, side = SIDE) {
  const factor = Math.min(1, side / Math.max(frame.width, frame.height));
  return createImageBitmap(toImageData(frame), {
    resizeWidth: Math.max(1, Math.round(frame.width * factor)),
    resizeHeight: Math.max(1, Math.round(frame.height * factor)),
    resizeQuality: "high",
  });
}

/**
 * A frame of at most `side` pixels a side: itself, or a smaller copy.
 * @param {import("../method/geometry.js").Frame} frame
 * @param {number} side
 */
export async function shrink(frame, side) {
  if (Math.max(frame.width, frame.height) <= side) return frame;
  const bitmap = await makePreview(frame, side);
  const small = drawFrame(bitmap);
  bitmap.close();
  return small;
}

/** @param {import("../method/geometry.js").Frame} frame */
export function toImageData({ data, width, height }) {
  return new ImageData(/** @type {Uint8ClampedArray<ArrayBuffer>} */ (data), width, height);
}
