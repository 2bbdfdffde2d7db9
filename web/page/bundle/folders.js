/** Where a bundle's files come from: the page's own server, or a folder that the user chose. */

/** @typedef {import("./bundle.js").Folder} Folder */

/**
 * @param {string} name
 * @param {URL} root
 * @returns {Folder}
 */
export function serveFolder(name, root) {
  return {
    name,
    async find(path) {
      const reply = await fetch(new URL(path, root));
      return reply.ok ? reply.blob() : undefined;
    },
  };
}

/**
 * @param {{path: string, file: File}[]} files their paths begin with the folder's name
 * @returns {Folder}
 */
export function listFolder(files) {
  const name = files[0]?.path.split("/")[0] ?? "the folder";
  const byPath = new Map(files.map(({ path, file }) => [path.slice(name.length + 1), file]));
  return { name, find: async (path) => byPath.get(path) };
}
