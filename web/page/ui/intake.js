/** How pictures and bundles come into the page: chosen, dropped, pasted. */

import { find } from "./elements.js";

/**
 * @typedef {{path: string, file: File}} Entry
 * @typedef {{takePictures: (files: File[]) => void, takeBundle: (entries: Entry[]) => void}} Takers
 */

/** @param {Takers} takers */
export function connectIntake({ takePictures, takeBundle }) {
  const chooser = find("choose-pictures", HTMLInputElement);
  chooser.addEventListener("change", () => {
    takePictures([...(chooser.files ?? [])]);
    chooser.value = "";
  });
  const folder = find("choose-bundle", HTMLInputElement);
  folder.addEventListener("change", () => {
    const files = [...(folder.files ?? [])];
    if (files.length)
      takeBundle(files.map((file) => ({ path: file.webkitRelativePath || file.name, file })));
    folder.value = "";
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) takePictures(files);
  });
  connectDrop(takePictures, takeBundle);
}

/**
 * The pictures on the clipboard, where the browser lets the page ask.
 * @returns {Promise<File[]>}
 */
export async function readClipboard() {
  const items = await navigator.clipboard.read();
  const pictures = items.flatMap((item) =>
    item.types
      .filter((type) => type.startsWith("image/"))
      .map(async (type) => {
        return new File([await item.getType(type)], `pasted.${type.slice(6)}`, { type });
      }),
  );
  return Promise.all(pictures);
}

/**
 * Files may be dropped anywhere on the page; a folder with a manifest is a bundle, another one holds
 * pictures.
 * @param {Takers["takePictures"]} takePictures
 * @param {Takers["takeBundle"]} takeBundle
 */
function connectDrop(takePictures, takeBundle) {
  let inside = 0; // enter and leave also come for every element that is passed
  const mark = (/** @type {number} */ count) => {
    inside = Math.max(0, count);
    document.body.classList.toggle("dropping", inside > 0);
  };
  const holdsFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => holdsFiles(event) && mark(inside + 1));
  document.addEventListener("dragleave", (event) => holdsFiles(event) && mark(inside - 1));
  document.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  document.addEventListener("drop", async (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    mark(0);
    // The list is emptied when this handler returns for the first time.
    const dropped = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry());
    const files = [...(event.dataTransfer?.files ?? [])];
    const folders = dropped.filter((entry) => entry?.isDirectory);
    const inFolders = (
      await Promise.all(folders.map((entry) => listEntries(/** @type {FileSystemEntry} */ (entry))))
    ).flat();
    if (inFolders.some(({ path }) => path.split("/")[1] === "manifest.json")) takeBundle(inFolders);
    else {
      const loose = files.filter((_, place) => !dropped[place]?.isDirectory);
      const pictures = [...loose, ...inFolders.map(({ file }) => file)];
      if (pictures.length) takePictures(pictures);
    }
  });
}

/**
 * All files below an entry of the file system.
 * @param {FileSystemEntry} entry
 * @returns {Promise<Entry[]>}
 */
async function listEntries(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) =>
      /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject),
    );
    return [{ path: entry.fullPath.slice(1), file }];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {Entry[]} */
  const found = [];
  for (;;) {
    // A reader hands out a hundred at a time, and nothing at the end.
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    found.push(...(await Promise.all(some.map(listEntries))).flat());
  }
}
