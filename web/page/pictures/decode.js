/**
 * Pictures to frames, by the browser's decoders: colour profiles are not applied, transparency lies on
 * white, and the pixels stay as they are stored, whatever EXIF says, as `maclip score` takes them.
 */

import { PictureError } from "../errors.js";
import { takeOrientation } from "./orientation.js";

/** @typedef {import("../method/geometry.js").Frame} Frame */

const FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "GIF", "AVIF"];
const MAX_PIXELS = 114_000_000; // and bytes, as `maclip_runtime.sources.pictures` has them
const MAX_FILE_BYTES = 512_000_000;
const SMALLER = "scale it down first";
// How the files of these formats begin; dots stand for any byte.
const SIGNATURES = [/^\xff\xd8\xff/, /^\x89PNG/, /^RIFF....WEBP/s, /^BM/, /^GIF8/, /^....ftypavi[fs]/s];

/**
 * @param {Blob} picture
 * @param {string} name for messages
 * @returns {Promise<{frame: Frame, orientation: number}>} with EXIF's orientation, for showing; raises
 *   PictureError
 */
export async function decodePicture(picture, name) {
  if (!picture.size) throw new PictureError(`${name}: empty file`);
  if (picture.size > MAX_FILE_BYTES) {
    throw new PictureError(`${name}: a file of more than ${MAX_FILE_BYTES / 1e6} MB`, SMALLER);
  }
  const { stored, orientation } = await takeOrientation(picture);
  const bitmap = await decode(stored, name);
  try {
    if (bitmap.width * bitmap.height > MAX_PIXELS) {
      throw new PictureError(`${name}: more than ${MAX_PIXELS / 1e6} megapixels`, SMALLER);
    }
    return { frame: drawFrame(bitmap), orientation };
  } catch (error) {
    if (error instanceof PictureError) throw error;
    throw new PictureError(`${name}: not enough memory to decode it`, SMALLER);
  } finally {
    bitmap.close();
  }
}

/**
 * A decoded picture or a camera's frame as pixels.
 * @param {ImageBitmap} bitmap
 * @returns {Frame}
 */
export function drawFrame(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  if (!context) throw new RangeError("no canvas of this size");
  context.fillStyle = "white";
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/**
 * @param {Blob} picture
 * @param {string} name
 */
async function decode(picture, name) {
  try {
    return await createImageBitmap(picture, { colorSpaceConversion: "none" });
  } catch {
    const start = String.fromCharCode(...new Uint8Array(await picture.slice(0, 16).arrayBuffer()));
    if (SIGNATURES.some((signature) => signature.test(start))) {
      throw new PictureError(`${name}: cannot be read: damaged, or too large for this browser`);
    }
    throw new PictureError(`${name}: not a picture in a known format (${FORMATS.join(", ")})`);
  }
}
