/** Frames brought to the size at which they are scored: presets, and small pictures enlarged. */

import { resizeBicubic } from "./resize.js";

/** @typedef {import("../method/geometry.js").Frame} Frame */
/** @typedef {"native" | "448" | "224"} Preset */

/**
 * @param {Frame} frame
 * @param {Preset} preset
 * @param {number} viewSize
 * @returns {{frame: Frame, enlarged: boolean}} `enlarged`: it was smaller than a view, which is out of the
 *   published method
 */
export function prepareFrame(frame, preset, viewSize) {
  if (preset !== "native") frame = resizeBicubic(frame, Number(preset), Number(preset));
  const shortest = Math.min(frame.width, frame.height);
  if (shortest >= viewSize) return { frame, enlarged: false };
  const enlarge = (/** @type {number} */ side) =>
    Math.max(viewSize, Math.round((side * viewSize) / shortest));
  return { frame: resizeBicubic(frame, enlarge(frame.width), enlarge(frame.height)), enlarged: true };
}
