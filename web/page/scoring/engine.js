/**
 * What runs the encoder: ONNX Runtime on WebGPU where there is one, else on the CPU as WebAssembly with
 * SIMD, on several threads where the page is cross-origin isolated. Both builds of the library come from
 * this page's own server.
 *
 * @typedef {"auto" | "webgpu" | "wasm"} EngineChoice
 * @typedef {{name: "webgpu" | "wasm", threads: number, batch: number, note: string,
 * encode: (pixels: Float32Array, views: number) => Promise<Float32Array>, close: () => Promise<void>}}
 *   Engine
 */

import { MaclipError } from "../errors.js";

const LIBRARY = new URL("../ort/", import.meta.url);
const BUILDS = {
  wasm: { module: "ort.wasm.bundle.min.mjs", binary: "ort-wasm-simd-threaded.wasm", batch: 1 },
  webgpu: { module: "ort.webgpu.bundle.min.mjs", binary: "ort-wasm-simd-threaded.asyncify.wasm", batch: 8 },
};
const ERRORS = 3; // and worse are logged; warnings would tell which shapes are computed on the CPU
const MOST_THREADS = 4; // more bring little for single views

export class EngineError extends MaclipError {}

/**
 * Open an image encoder. "auto" falls back to WASM where WebGPU does not open, and says so in `note`; an
 * engine that was asked for by name opens or is an error.
 * @param {Uint8Array} graph
 * @param {EngineChoice} choice
 * @param {number} size S, the side of a view
 * @returns {Promise<Engine>}
 */
export async function openEngine(graph, choice, size) {
  if (choice === "wasm") return openSession(graph, "wasm", size, "");
  const fault = await findGpuFault(choice === "auto");
  if (!fault) {
    try {
      return await openSession(graph, "webgpu", size, "");
    } catch (error) {
      if (choice === "webgpu") throw error;
      return openSession(
        graph,
        "wasm",
        size,
        `WebGPU did not open (${/** @type {Error} */ (error).message})`,
      );
    }
  }
  if (choice === "webgpu") throw new EngineError(fault, "choose automatic or WebAssembly");
  return openSession(graph, "wasm", size, fault);
}

/**
 * Why WebGPU cannot be used here, or "".
 * @param {boolean} hardwareOnly a GPU that is emulated on the CPU is slower than WASM
 */
async function findGpuFault(hardwareOnly) {
  /** @type {any} */
  const gpu = /** @type {any} */ (navigator).gpu;
  const adapter = await gpu?.requestAdapter().catch(() => null);
  if (!adapter) return "this browser has no WebGPU here";
  return hardwareOnly && adapter.info?.isFallbackAdapter ? "WebGPU is emulated here" : "";
}

/**
 * @param {Uint8Array} graph
 * @param {"wasm" | "webgpu"} name
 * @param {number} size
 * @param {string} note
 * @returns {Promise<Engine>}
 */
async function openSession(graph, name, size, note) {
  const build = BUILDS[name];
  /** @type {typeof import("onnxruntime-web")} */
  const ort = await import(new URL(build.module, LIBRARY).href);
  const threads = globalThis.crossOriginIsolated
    ? Math.min(MOST_THREADS, navigator.hardwareConcurrency)
    : 1;
  ort.env.wasm.wasmPaths = { wasm: new URL(build.binary, LIBRARY).href };
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  let session;
  try {
    session = await ort.InferenceSession.create(graph, {
      executionProviders: [name],
      logSeverityLevel: ERRORS,
    });
  } catch (error) {
    const reason = String(/** @type {Error} */ (error).message ?? error).split("\n")[0];
    throw new EngineError(`the engine does not open this graph (${reason})`, "export the bundle again");
  }
  let last = Promise.resolve(new Float32Array());
  return {
    name,
    threads: name === "wasm" ? threads : 1,
    batch: build.batch,
    note,
    encode(pixels, views) {
      const run = async () => {
        const tensor = new ort.Tensor("float32", pixels, [views, 3, size, size]);
        const { features } = await session.run({ pixels: tensor });
        return /** @type {Float32Array<ArrayBuffer>} */ (await features.getData());
      };
      last = last.then(run, run); // a session runs one thing at a time
      return last;
    },
    async close() {
      await last.catch(() => {});
      await session.release();
    },
  };
}
