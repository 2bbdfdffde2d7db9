/**
 * Graphs that keep weights in other files are refused: a checksum covers the graph alone. This walks the
 * graph's Protocol Buffers encoding: the messages of onnx.proto that lead to a tensor, everything else
 * skipped.
 */

import { BundleError } from "../errors.js";

// For each message of onnx.proto the fields that hold messages which hold tensors, in the end.
/** @type {Record<string, Record<number, string>>} */
const CHILDREN = {
  Model: { 7: "Graph", 20: "TrainingInfo", 25: "Function" },
  TrainingInfo: { 1: "Graph", 2: "Graph" },
  Graph: { 1: "Node", 5: "Tensor", 15: "SparseTensor" },
  Function: { 7: "Node", 11: "Attribute" },
  Node: { 5: "Attribute" },
  Attribute: { 5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor" },
  SparseTensor: { 1: "Tensor", 2: "Tensor" },
  Tensor: {},
};
const EXTERNAL_DATA = 13; // fields of TensorProto
const DATA_LOCATION = 14;
const VARINT = 0; // wire types; groups (3, 4) ONNX has none of
const FIXED_64 = 1;
const BYTES = 2;
const FIXED_32 = 5;
const REMEDY = "export the bundle again";

/**
 * Raise BundleError, naming no file, if a tensor's data is outside, or if this is no ONNX graph.
 * @param {Uint8Array} graph
 */
export function refuseExternalData(graph) {
  /** @type {[string, number, number][]} */
  const toRead = [["Model", 0, graph.length]];
  for (let next = toRead.pop(); next; next = toRead.pop()) {
    let [message, position, end] = next;
    while (position < end) {
      const [tag, from] = readVarint(graph, position, end);
      const field = Math.floor(tag / 8);
      const wireType = tag % 8;
      if (message === "Tensor" && (field === EXTERNAL_DATA || field === DATA_LOCATION)) {
        // The location is an enumeration whose 0 is "inside".
        const [value] = readVarint(graph, from, end);
        if (field === EXTERNAL_DATA || wireType !== VARINT || value !== 0) {
          throw new BundleError("keeps weights in another file, which no checksum covers", REMEDY);
        }
      }
      const [start, after] = skip(graph, from, end, wireType);
      if (field in CHILDREN[message]) {
        if (wireType !== BYTES) throw refuseDamaged();
        toRead.push([CHILDREN[message][field], start, after]);
      }
      position = after;
    }
  }
}

/**
 * Where a field's value starts and ends.
 * @param {Uint8Array} data
 * @param {number} position
 * @param {number} end
 * @param {number} wireType
 * @returns {[number, number]}
 */
function skip(data, position, end, wireType) {
  let start = position;
  if (wireType === VARINT) [, position] = readVarint(data, position, end);
  else if (wireType === BYTES) {
    const [length, from] = readVarint(data, position, end);
    start = from;
    position = from + length;
  } else if (wireType === FIXED_64 || wireType === FIXED_32) position += wireType === FIXED_64 ? 8 : 4;
  else throw refuseDamaged();
  if (position > end) throw refuseDamaged();
  return [start, position];
}

/**
 * A number in groups of seven bits, the lowest first, and the position after it.
 * @param {Uint8Array} data
 * @param {number} position
 * @param {number} end
 * @returns {[number, number]}
 */
function readVarint(data, position, end) {
  let value = 0;
  for (let place = 1; place < 2 ** 70 && position < end; place *= 128) {
    const byte = data[position++];
    value += (byte & 0x7f) * place;
    if (byte < 0x80) return [value, position];
  }
  throw refuseDamaged();
}

function refuseDamaged() {
  return new BundleError("not an ONNX graph", REMEDY);
}
