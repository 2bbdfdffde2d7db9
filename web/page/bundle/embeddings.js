/**
 * The prompt embeddings in `prompts.npz`, a zip archive of one `.npy` file, checked before anything of it
 * is unpacked: what it says must be what the manifest promises.
 */

import { BundleError } from "../errors.js";
import { repr, shortRepr } from "./repr.js";

const MEMBER = "embeddings.npy";
const LARGEST = 1 << 26; // bytes unpacked
const HEADER = 1 << 12; // bytes; NumPy writes 128
const UNIT_TOLERANCE = 1e-3; // of a length
const END_OF_DIRECTORY = 0x06054b50;
const NAMES = { "<f4": "float32", "<f8": "float64", "<f2": "float16", "<i4": "int32", "<i8": "int64" };
const STORED = 0;
const DEFLATED = 8;

/**
 * @param {Uint8Array<ArrayBuffer>} data of the `.npz`
 * @param {[number, number, number]} shape `[K, 2, D]`
 * @returns {Promise<Float32Array>} raises BundleError, naming no file
 */
export async function readEmbeddings(data, shape) {
  let embeddings;
  try {
    embeddings = await readMember(data, shape);
  } catch (error) {
    if (error instanceof BundleError) throw error;
    const { message, name } = /** @type {Error} */ (error);
    throw new BundleError(`not readable (${repr((message || name).slice(0, 100))})`);
  }
  for (let start = 0; start < embeddings.length; start += shape[2]) {
    const length = Math.hypot(...embeddings.subarray(start, start + shape[2]));
    if (!(Math.abs(length - 1) <= UNIT_TOLERANCE))
      throw new BundleError("embeddings are not all of unit length");
  }
  return embeddings;
}

/**
 * @param {Uint8Array<ArrayBuffer>} data
 * @param {[number, number, number]} shape
 */
async function readMember(data, shape) {
  const size = 4 * shape[0] * shape[1] * shape[2];
  const entries = listEntries(data);
  const names = entries.map((entry) => entry.name);
  if (names.length !== 1 || names[0] !== MEMBER) {
    throw new BundleError(`holds ${shortRepr(names)}, not ${MEMBER} alone`);
  }
  const [entry] = entries;
  if (size > LARGEST || !(size < entry.unpacked && entry.unpacked <= size + HEADER)) {
    throw new BundleError(
      `unpacks to ${entry.unpacked} bytes, and float32 ${showShape(shape)} has ${size}, at most ${LARGEST}`,
    );
  }
  const array = await unpack(data, entry);
  const start = checkHeader(array, shape);
  if (array.length - start !== size) {
    throw new BundleError(`embeddings have ${array.length - start} bytes, not ${size}`);
  }
  return new Float32Array(array.slice(start).buffer); // every browser's machine is little-endian
}

/**
 * @typedef {{name: string, method: number, packed: number, unpacked: number, offset: number}} Entry
 * @param {Uint8Array<ArrayBuffer>} data
 * @returns {Entry[]}
 */
function listEntries(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let end = data.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== END_OF_DIRECTORY) end--;
  if (end < 0) throw new Error("File is not a zip file");
  let position = view.getUint32(end + 16, true);
  return Array.from({ length: view.getUint16(end + 10, true) }, () => {
    const length = view.getUint16(position + 28, true);
    const entry = {
      name: new TextDecoder().decode(data.subarray(position + 46, position + 46 + length)),
      method: view.getUint16(position + 10, true),
      packed: view.getUint32(position + 20, true),
      unpacked: view.getUint32(position + 24, true),
      offset: view.getUint32(position + 42, true),
    };
    position += 46 + length + view.getUint16(position + 30, true) + view.getUint16(position + 32, true);
    return entry;
  });
}

/**
 * @param {Uint8Array<ArrayBuffer>} data
 * @param {Entry} entry
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
async function unpack(data, entry) {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const start =
    entry.offset + 30 + view.getUint16(entry.offset + 26, true) + view.getUint16(entry.offset + 28, true);
  const packed = data.subarray(start, start + entry.packed);
  if (entry.method === STORED) return packed;
  if (entry.method !== DEFLATED) throw new Error(`compression method ${entry.method}`);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * @param {Uint8Array} array the `.npy` file
 * @param {[number, number, number]} shape
 * @returns {number} where the values begin
 */
function checkHeader(array, shape) {
  const magic = String.fromCharCode(...array.subarray(1, 6));
  if (array[0] !== 0x93 || magic !== "NUMPY") throw new Error("the magic string is not correct");
  if (array[6] !== 1 || array[7] !== 0) {
    throw new BundleError(`embeddings have .npy version (${array[6]}, ${array[7]}), not (1, 0)`);
  }
  const end = 10 + array[8] + 256 * array[9];
  const header = new TextDecoder().decode(array.subarray(10, end));
  const dtype = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const found = /'shape':\s*(\([^)]*\))/.exec(header)?.[1];
  const inColumns = /'fortran_order':\s*True/.test(header);
  if (found !== showShape(shape) || dtype !== "<f4" || inColumns) {
    const order = inColumns ? " by columns" : "";
    const kind = /** @type {Record<string, string>} */ (NAMES)[dtype ?? ""] ?? dtype;
    throw new BundleError(`embeddings are ${kind} ${found}${order}, not float32 ${showShape(shape)}`);
  }
  return end;
}

/** @param {number[]} shape */
function showShape(shape) {
  return `(${shape.join(", ")})`;
}
