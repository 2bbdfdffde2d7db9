/**
 * An opened bundle: checked before anything in it is trusted. Its files come from a folder that the user
 * chose or from the page's own server; either is only something that finds a file by its path.
 *
 * @typedef {{name: string, find: (path: string) => Promise<Blob | undefined>}} Folder
 * @typedef {import("./manifest.js").BundleFile} BundleFile
 */

import { BundleError } from "../errors.js";
import { readEmbeddings } from "./embeddings.js";
import { refuseExternalData } from "./external-data.js";
import { parseManifest } from "./manifest.js";
import { isPrintable, repr, shortRepr } from "./repr.js";

const LARGEST_MANIFEST = 16_000_000; // bytes
const DAMAGED = "copy or export the bundle again";
const UNTRUSTED = "do not use this bundle";

export class Bundle {
  /**
   * @param {Folder} folder
   * @param {import("./manifest.js").Manifest} manifest
   */
  constructor(folder, manifest) {
    this.folder = folder;
    this.manifest = manifest;
  }

  /** The image encoder to run: float32 where there is one, as on every CPU. */
  get encoder() {
    const encoders = this.manifest.files.filter((file) => file.role === "image_encoder" && !file.plan);
    return encoders.find((file) => file.precision === "fp32") ?? encoders[0] ?? this.find("image_encoder");
  }

  /**
   * The file of a role; BundleError if the bundle has none.
   * @param {string} role
   * @returns {BundleFile}
   */
  find(role) {
    const file = this.manifest.files.find((file) => file.role === role && !file.plan);
    if (file) return file;
    throw new BundleError(`${this.folder.name}: has no ${role}`, "export the bundle again with it");
  }

  /**
   * A file's bytes, verified: by size before it is read, by checksum, and a graph must have no weights
   * elsewhere.
   * @param {BundleFile} file
   * @returns {Promise<Uint8Array<ArrayBuffer>>}
   */
  async read(file) {
    const path = `${this.folder.name}/${file.path}`;
    const found = await this.folder.find(file.path);
    if (!found) throw new BundleError(`${path}: missing from the bundle`, DAMAGED);
    if (found.size !== file.size) {
      throw new BundleError(`${path}: ${found.size} bytes, and the manifest says ${file.size}`, DAMAGED);
    }
    const data = await readBytes(found, path);
    if ((await hash(data)) !== file.sha256) {
      throw new BundleError(`${path}: checksum differs from the manifest's`, DAMAGED);
    }
    if (file.role !== "prompts") locate(path, () => refuseExternalData(data));
    return data;
  }

  /**
   * What the head needs: the prompt embeddings and the method's constants.
   * @returns {Promise<import("../method/head.js").Method>}
   */
  async loadMethod() {
    const { prompts, architecture, method } = this.manifest;
    const file = this.find("prompts");
    const data = await this.read(file);
    let embeddings;
    try {
      embeddings = await readEmbeddings(data, [prompts.length, 2, architecture.features]);
    } catch (error) {
      const { name } = this.folder;
      const again = `embed the prompts again: maclip prompts ${name}`;
      throw new BundleError(`${name}/${file.path}: ${/** @type {BundleError} */ (error).reason}`, again);
    }
    return {
      prompts: embeddings,
      scored: prompts.map((pair) => pair.scored),
      features: architecture.features,
      logitScale: method.logit_scale,
      head: method.head,
    };
  }
}

/**
 * Read and check a bundle's manifest; its other files are verified when they are read.
 * @param {Folder} folder
 * @param {object} schema of manifests
 */
export async function openBundle(folder, schema) {
  const place = `${folder.name}/manifest.json`;
  const found = await folder.find("manifest.json");
  if (!found) {
    throw new BundleError(
      `${folder.name}: has no manifest.json, so it is no bundle`,
      "make one: maclip export",
    );
  }
  if (found.size > LARGEST_MANIFEST) {
    throw new BundleError(
      `${place}: ${found.size} bytes, more than the ${LARGEST_MANIFEST} it may have`,
      DAMAGED,
    );
  }
  const data = await readBytes(found, place);
  return locate(place, () => {
    const manifest = parseManifest(decode(data), schema);
    manifest.files.forEach((file) => refuseOutside(file.path));
    return new Bundle(folder, manifest);
  });
}

/** @param {Uint8Array} data */
function decode(data) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch (error) {
    throw new BundleError(`not UTF-8 (${/** @type {Error} */ (error).message})`, DAMAGED);
  }
}

/** @param {string} path */
function refuseOutside(path) {
  if (!isPrintable(path)) throw new BundleError(`${shortRepr(path)} is no file name`, UNTRUSTED);
  if (path.startsWith("/") || path.split("/").includes("..")) {
    throw new BundleError(`${repr(path)} points outside the bundle`, UNTRUSTED);
  }
}

/**
 * @param {Blob} file
 * @param {string} path
 */
async function readBytes(file, path) {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    throw new BundleError(`${path}: not readable (${/** @type {Error} */ (error).message})`);
  }
}

/** @param {Uint8Array<ArrayBuffer>} data */
async function hash(data) {
  if (!globalThis.crypto?.subtle) {
    throw new BundleError(
      "checksums cannot be verified on a page without HTTPS",
      "open it by https or on localhost",
    );
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Run something, and name the file in its BundleError.
 * @template T
 * @param {string} place
 * @param {() => T} action
 * @returns {T}
 */
function locate(place, action) {
  try {
    return action();
  } catch (error) {
    throw error instanceof BundleError ? error.within(place) : error;
  }
}
