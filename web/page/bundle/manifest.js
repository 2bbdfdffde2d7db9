/**
 * `manifest.json`, read as strictly as the Python package reads it, by the JSON schema that the package
 * carries.
 *
 * An unknown schema, a missing or unknown field, a value of another type or out of its range: each is an
 * error of one line, so a bundle is either understood whole or refused. JSON does not tell 224.0 from 224
 * here, and schema 1 (bundles of the first exports) is not read.
 *
 * @typedef {{path: string, role: string, size: number, sha256: string, precision: string | null, plan:
 *   object | null, pixel_format: string, colour: object | null,
 *   outputs: Record<string, {shape: (number | string)[]}>}} BundleFile
 * @typedef {{name: string, good: string, bad: string, scored: boolean}} PromptPair
 * @typedef {object} Manifest
 * @property {{name: string, source: string, demo: boolean}} weights
 * @property {{image: string, features: number}} architecture
 * @property {{views: import("../method/geometry.js").Geometry, logit_scale: number,
 *   head: import("../method/head.js").Head}} method
 * @property {PromptPair[]} prompts
 * @property {BundleFile[]} files
 */

import { BundleError } from "../errors.js";
import { floatRepr, shortRepr, showName } from "./repr.js";

/** @typedef {any} Schema  JSON schema, as far as the package's own uses it */

const REMEDY = "export the bundle again";

// What the Python dataclasses have by default; a JSON schema does not say it.
/** @type {Record<string, object>} */
const DEFAULTS = {
  Weights: { demo: false },
  PromptPair: { scored: true },
  BundleFile: { precision: null, plan: null, pixel_format: "rgb24", colour: null, outputs: {} },
  ViewGeometry: {
    size: 224,
    stride: 128,
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
  },
  Head: { alpha: 1, similarity: { base: 1 }, magnitude: { base: 0.6, boxcox_lambda: 0.5 } },
  SimilarityCue: { base: 1 },
  MagnitudeCue: { base: 0.6, boxcox_lambda: 0.5 },
};

/**
 * @param {string} text
 * @param {Schema} schema
 * @returns {Manifest} raises BundleError, saying where, if any of it is not understood
 */
export function parseManifest(text, schema) {
  let data;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw new BundleError(`not valid JSON (${/** @type {Error} */ (error).message})`, REMEDY);
  }
  checkSchema(data, schema.$defs.Manifest.properties.schema.enum[0]);
  const manifest = /** @type {Manifest} */ (new Parser(schema).parse(schema, data, "manifest"));
  if (!manifest.prompts.some((pair) => pair.scored)) {
    throw new BundleError("manifest.prompts has no pair that is scored", REMEDY);
  }
  const features = manifest.architecture.features;
  manifest.files.forEach((file, place) => {
    const shape = file.outputs.features?.shape ?? [features];
    if (shape.at(-1) !== features) {
      const where = `manifest.files[${place}].outputs.features`;
      throw new BundleError(`${where} has not the architecture's ${features} features`, REMEDY);
    }
    if ((file.pixel_format === "nv12") !== (file.colour !== null)) {
      const where = `manifest.files[${place}].colour`;
      throw new BundleError(`${where} is there for nv12 frames, and for no others`, REMEDY);
    }
  });
  return manifest;
}

/**
 * @param {any} data
 * @param {number} known
 */
function checkSchema(data, known) {
  const schema = isObject(data) ? data.schema : undefined;
  if (schema === known) return;
  if (Number.isInteger(schema) && schema > known) {
    throw new BundleError(
      `made by a newer maclip-edge (schema ${schema}, this one reads up to ${known})`,
      "upgrade maclip-edge",
    );
  }
  throw new BundleError(`schema ${shortRepr(schema)} is not known`, REMEDY);
}

class Parser {
  /** @param {Schema} root */
  constructor(root) {
    this.definitions = root.$defs;
  }

  /**
   * @param {Schema} schema
   * @param {any} value
   * @param {string} where
   * @returns {any}
   */
  parse(schema, value, where) {
    if (schema.$ref) {
      const name = schema.$ref.split("/").at(-1);
      return { ...DEFAULTS[name], ...this.parse(this.definitions[name], value, where) };
    }
    if (schema.anyOf) return this.parseUnion(schema.anyOf, value, where);
    if (schema.enum) return require(schema.enum.includes(value), value, where);
    if (schema.properties) return this.parseFields(schema, value, where);
    if (schema.type === "object") return this.parseEntries(schema.additionalProperties, value, where);
    if (schema.type === "array") return this.parseArray(schema, value, where);
    return parsePlain(schema, value, where);
  }

  /**
   * @param {Schema[]} options
   * @param {any} value
   * @param {string} where
   */
  parseUnion(options, value, where) {
    for (const option of options) {
      try {
        return this.parse(option, value, where);
      } catch (error) {
        if (!(error instanceof BundleError)) throw error;
      }
    }
    throw refuse(value, where);
  }

  /**
   * @param {Schema} schema
   * @param {any} value
   * @param {string} where
   */
  parseFields(schema, value, where) {
    require(isObject(value), value, where);
    const unknown = Object.keys(value).filter((name) => !Object.hasOwn(schema.properties, name));
    const missing = schema.required.filter((/** @type {string} */ name) => !Object.hasOwn(value, name));
    if (unknown.length || missing.length) {
      const names = (unknown.length ? unknown : missing).sort().map(showName).join(", ");
      throw new BundleError(
        `${where} has ${unknown.length ? "unknown" : "missing"} fields (${names})`,
        REMEDY,
      );
    }
    const parsed = Object.entries(value).map(([name, item]) => [
      name,
      this.parse(schema.properties[name], item, `${where}.${name}`),
    ]);
    return Object.fromEntries(parsed);
  }

  /**
   * @param {Schema} schema
   * @param {any} value
   * @param {string} where
   */
  parseEntries(schema, value, where) {
    require(isObject(value), value, where);
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        this.parse(schema, item, `${where}.${showName(key)}`),
      ]),
    );
  }

  /**
   * @param {Schema} schema
   * @param {any} value
   * @param {string} where
   */
  parseArray(schema, value, where) {
    require(Array.isArray(value), value, where);
    const fixed = schema.prefixItems;
    require(!fixed || fixed.length === value.length, value, where);
    return value.map((/** @type {any} */ item, /** @type {number} */ place) =>
      this.parse(fixed ? fixed[place] : schema.items, item, `${where}[${place}]`),
    );
  }
}

/**
 * @param {Schema} schema
 * @param {any} value
 * @param {string} where
 */
function parsePlain(schema, value, where) {
  if (schema.type === "integer") require(Number.isInteger(value), value, where);
  else if (schema.type === "number")
    require(typeof value === "number" && Math.abs(value) < 1e300, value, where);
  else if (schema.type === "null") require(value === null, value, where);
  else require(typeof value === schema.type, value, where);
  /** @type {[string, number | undefined, (bound: number) => boolean][]} */
  const bounds = [
    ["at least", schema.minimum, (bound) => value >= bound],
    ["above", schema.exclusiveMinimum, (bound) => value > bound],
    ["at most", schema.maximum, (bound) => value <= bound],
  ];
  const given = bounds.filter(([, bound]) => bound !== undefined);
  if (!given.every(([, bound, holds]) => holds(/** @type {number} */ (bound)))) {
    const shown = schema.type === "number" ? floatRepr(value) : String(value);
    const allowed = given.map(([words, bound]) => `${words} ${bound}`).join(" and ");
    throw new BundleError(`${where} is ${shown}, and must be ${allowed}`, REMEDY);
  }
  return value;
}

/**
 * @param {boolean} fits
 * @param {any} value
 * @param {string} where
 */
function require(fits, value, where) {
  if (!fits) throw refuse(value, where);
  return value;
}

/**
 * @param {any} value
 * @param {string} where
 */
function refuse(value, where) {
  return new BundleError(`${where} is not understood: ${shortRepr(value)}`, REMEDY);
}

/** @param {any} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
