/** The camera: a stream whose views take turns. */

import { describeGradient, spanValues } from "./colours.js";
import { colourMap } from "./drawing.js";
import { announce, find } from "./elements.js";
import { format, showAttributes } from "./figures.js";

/** @typedef {import("../stream/stream.js").Reading} Reading */

const BUDGET = 1 / 12; // seconds a frame, for "auto": what comes faster is left out
const HISTORY = 240; // readings that the chart shows
const CHART = { width: 600, height: 120 };
const MAP_WIDTH = 96; // pixels; the page stretches it

export class CameraPanel {
  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    /** @type {MediaStream | null} */
    this.media = null;
    this.video = find("video", HTMLVideoElement);
    this.overlay = find("camera-map", HTMLCanvasElement);
    this.views = find("views-per-frame", HTMLSelectElement);
    this.button = find("camera-start", HTMLButtonElement);
    /** @type {Reading[]} */
    this.history = [];
    this.stream = 0; // counts the worker's streams: what the one before says too late is not shown
    /** @type {number[]} when the last readings came */
    this.times = [];
    this.button.addEventListener("click", () => (this.media ? this.stop() : this.start()));
    this.views.addEventListener("change", () => this.media && this.restart());
    find("camera-shows-map", HTMLInputElement).addEventListener("change", () => this.drawMap());
    find("camera-scale", HTMLElement).style.backgroundImage = describeGradient();
    session.whenChanged(() => {
      this.button.disabled = false;
      if (this.media) this.restart();
    });
  }

  async start() {
    this.fail("");
    try {
      if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
      this.media = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "environment" },
        audio: false,
      });
    } catch (error) {
      this.fail(explain(/** @type {DOMException} */ (error)));
      return;
    }
    this.media.getVideoTracks()[0].addEventListener("ended", () => this.stop());
    this.video.srcObject = this.media;
    await this.video.play();
    find("camera", HTMLElement).classList.add("running");
    this.button.textContent = "Stop the camera";
    await this.restart();
    void this.run(this.media);
  }

  stop() {
    this.media?.getTracks().forEach((track) => track.stop());
    this.media = null;
    this.video.srcObject = null;
    find("camera", HTMLElement).classList.remove("running");
    this.button.textContent = "Start the camera";
    announce("The camera is off");
  }

  /** Begin the stream anew, with the number of views that is chosen. */
  async restart() {
    const chosen = this.views.value;
    const viewsPerFrame = chosen === "auto" || chosen === "all" ? chosen : Number(chosen);
    this.history = [];
    this.stream++;
    await this.session.client.ask("startStream", { viewsPerFrame, budget: BUDGET });
  }

  /**
   * Push frames as long as this camera is on. The newest frame wins: none is taken while one is scored.
   * @param {MediaStream} media
   */
  async run(media) {
    while (media === this.media) {
      await nextFrame(this.video);
      if (media !== this.media) return;
      const { stream } = this;
      try {
        const bitmap = await createImageBitmap(this.video);
        const reading = await this.session.client.ask("pushFrame", { bitmap }, { transfer: [bitmap] });
        if (media === this.media && stream === this.stream) this.show(reading);
      } catch (error) {
        this.fail(/** @type {Error} */ (error).message);
        this.stop();
      }
    }
  }

  /** @param {Reading} reading */
  show(reading) {
    this.history = [...this.history.slice(1 - HISTORY), reading];
    this.times = [...this.times.slice(-20), performance.now()];
    const rate =
      (1000 * (this.times.length - 1)) / (this.times[this.times.length - 1] - this.times[0] || Infinity);
    find("camera-score", HTMLElement).textContent = format(reading.score);
    find("camera-fresh", HTMLElement).textContent = `${Math.round(100 * reading.fresh)} %`;
    find("camera-views", HTMLElement).textContent = `${reading.refreshed} of ${reading.views.length}`;
    find("camera-rate", HTMLElement).textContent = `${rate.toFixed(1)} / s`;
    showAttributes(find("camera-attributes", HTMLElement), this.session.pairs, reading.attributes);
    if (reading.scene && reading.frame) announce("A new scene");
    this.drawMap();
    this.drawChart();
  }

  drawMap() {
    const reading = this.history[this.history.length - 1];
    const shown = find("camera-shows-map", HTMLInputElement).checked;
    this.overlay.hidden = !shown;
    find("camera-legend", HTMLElement).hidden = !shown;
    if (!shown || !reading) return;
    const scored = { perView: reading.views, frameHeight: reading.height, frameWidth: reading.width };
    const map = this.session.makeMap(scored, "score");
    const span = spanValues(map.values);
    const height = Math.max(
      1,
      Math.round((MAP_WIDTH * reading.height * map.bottom) / (reading.width * map.right)),
    );
    this.overlay.width = MAP_WIDTH;
    this.overlay.height = height;
    this.overlay.getContext("2d")?.putImageData(colourMap(map, MAP_WIDTH, height, span), 0, 0);
    this.overlay.style.inlineSize = `${100 * map.right}%`;
    this.overlay.style.blockSize = `${100 * map.bottom}%`;
    find("camera-low", HTMLElement).textContent = span[0].toFixed(2);
    find("camera-high", HTMLElement).textContent = span[1].toFixed(2);
  }

  drawChart() {
    const scores = this.history.map((reading) => reading.score);
    const [low, high] = spanValues(scores);
    const x = (/** @type {number} */ place) => (place * CHART.width) / (HISTORY - 1);
    const y = (/** @type {number} */ score) => CHART.height * (1 - (score - low) / (high - low));
    const points = scores.map((score, place) => `${x(place).toFixed(1)},${y(score).toFixed(1)}`);
    find("camera-line", SVGPolylineElement).setAttribute("points", points.join(" "));
    const scenes = this.history.flatMap((reading, place) =>
      reading.scene && reading.frame ? [`M${x(place).toFixed(1)} 0V${CHART.height}`] : [],
    );
    find("camera-scenes", SVGPathElement).setAttribute("d", scenes.join(""));
    find("camera-most", HTMLElement).textContent = high.toFixed(2);
    find("camera-least", HTMLElement).textContent = low.toFixed(2);
    const told = `Score over the last ${scores.length} readings, from ${low.toFixed(2)} to ${high.toFixed(2)}`;
    find("camera-chart", SVGSVGElement).setAttribute("aria-label", told);
  }

  /** @param {string} message */
  fail(message) {
    find("camera-error", HTMLElement).textContent = message;
  }
}

/** @param {HTMLVideoElement} video */
function nextFrame(video) {
  return new Promise((resolve) => {
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(() => resolve(undefined));
    else requestAnimationFrame(() => resolve(undefined));
  });
}

/** @param {DOMException} error */
function explain({ name, message }) {
  if (name === "NotAllowedError")
    return "The camera was refused; allow it for this page in the browser's settings.";
  if (name === "NotFoundError") return "No camera was found; connect one and start again.";
  if (name === "NotReadableError")
    return "The camera is in use by another program; close that and start again.";
  if (name === "SecurityError") return "Cameras need a page by HTTPS or on localhost; open this one so.";
  return `The camera cannot be opened (${message || name}).`;
}
