/**
 * The worker: everything that takes time, so that the page never freezes. Requests `{id, task, ...}` come
 * in, `{id, result}`, `{id, error}` or `{id, progress}` go out. Requests run beside each other; the engine
 * takes turns.
 *
 * @typedef {import("./method/head.js").Quality} Quality
 * @typedef {object} Scored of a picture; `perView` in view order, the global view last
 * @property {Quality} means
 * @property {Quality[]} perView
 * @property {number} width of the picture
 * @property {number} height
 * @property {number} frameWidth of the prepared frame
 * @property {number} frameHeight
 * @property {boolean} enlarged
 * @property {number} milliseconds
 * @property {ImageBitmap} preview
 * @property {number} orientation by which the preview is to be shown, as EXIF numbers them
 */

import { listFolder, serveFolder } from "./bundle/folders.js";
import { MaclipError } from "./errors.js";
import { averageViews } from "./method/head.js";
import { decodePicture, drawFrame } from "./pictures/decode.js";
import { distort } from "./pictures/distortions.js";
import { prepareFrame } from "./pictures/prepare.js";
import { makePreview, shrink, toImageData } from "./pictures/preview.js";
import { Scorer } from "./scoring/scorer.js";
import { Stream } from "./stream/stream.js";

/** @typedef {import("./method/geometry.js").Frame} Frame */
/** @typedef {(done: number, total: number) => void} Report */

const HERE = new URL(".", import.meta.url);
const LAB_SIDE = 512; // pixels: what is distorted again and again is a copy of at most this size

/** @type {Scorer | null} */
let scorer = null;
/** @type {{frame: Frame, orientation: number} | null} what the sliders change */
let original = null;
/** @type {Stream | null} */
let stream = null;

/** @type {Record<string, (request: any, report: Report) => Promise<unknown>>} */
const TASKS = {
  /** Open a bundle, the demo's where no files are given, and keep the one before if it cannot be opened. */
  async open({ files, engine }) {
    const schema = await (await fetch(new URL("bundle/manifest.schema.json", HERE))).json();
    const folder = files ? listFolder(files) : serveFolder("demo", new URL("demo/", HERE));
    const opened = await Scorer.open(folder, schema, engine);
    const before = scorer;
    scorer = opened;
    stream = null;
    await before?.engine.close();
    const { manifest, encoder } = opened.bundle;
    const { name, threads, note } = opened.engine;
    const { prompts, weights, architecture } = manifest;
    return {
      name: folder.name,
      pairs: prompts,
      weights,
      architecture,
      geometry: opened.geometry,
      precision: encoder.precision,
      engine: { name, threads, note },
    };
  },

  async score({ picture, name, preset }, report) {
    return scorePicture(await decodePicture(picture, name), preset, report);
  },

  /** Take a picture to be distorted. */
  async hold({ picture, name }) {
    const { frame, orientation } = await decodePicture(picture, name);
    original = { frame: await shrink(frame, LAB_SIDE), orientation };
    return { width: original.frame.width, height: original.frame.height, scaled: original.frame !== frame };
  },

  async distort({ severities }, report) {
    if (!original) throw new MaclipError("there is no picture to distort");
    const frame = await distort(original.frame, severities);
    return scorePicture({ frame, orientation: original.orientation }, "native", report);
  },

  /** The picture that the last severities made, as a file. */
  async save({ severities }) {
    if (!original) throw new MaclipError("there is no picture to save");
    const frame = await distort(original.frame, severities);
    const canvas = new OffscreenCanvas(frame.width, frame.height);
    canvas.getContext("2d")?.putImageData(toImageData(frame), 0, 0);
    return {
      picture: await canvas.convertToBlob({ type: "image/png" }),
      orientation: original.orientation,
    };
  },

  async startStream({ viewsPerFrame, budget }) {
    stream = new Stream(useScorer(), viewsPerFrame, budget);
  },

  async pushFrame({ bitmap }) {
    const frame = drawFrame(bitmap);
    bitmap.close();
    if (!stream) throw new MaclipError("the camera's stream has ended", "start it again");
    return stream.push(frame);
  },
};

/**
 * @param {{frame: Frame, orientation: number}} picture
 * @param {import("./pictures/prepare.js").Preset} preset
 * @param {Report} report
 * @returns {Promise<Scored>}
 */
async function scorePicture({ frame, orientation }, preset, report) {
  const start = performance.now();
  const { geometry } = useScorer();
  const { frame: prepared, enlarged } = prepareFrame(frame, preset, geometry.size);
  const perView = await useScorer().score(prepared, undefined, report);
  return {
    means: averageViews(perView),
    perView,
    width: frame.width,
    height: frame.height,
    frameWidth: prepared.width,
    frameHeight: prepared.height,
    enlarged,
    milliseconds: performance.now() - start,
    preview: await makePreview(frame),
    orientation,
  };
}

function useScorer() {
  if (!scorer) throw new MaclipError("no bundle is open", "open one first");
  return scorer;
}

self.addEventListener("message", async ({ data: { id, task, ...request } }) => {
  const report = (/** @type {number} */ done, /** @type {number} */ total) =>
    postMessage({ id, progress: { done, total } });
  try {
    const result = await TASKS[task](request, report);
    const preview = /** @type {any} */ (result)?.preview;
    postMessage({ id, result }, { transfer: preview ? [preview] : [] });
  } catch (error) {
    postMessage({ id, error: /** @type {Error} */ (error).message });
  }
});
postMessage({ ready: true });
