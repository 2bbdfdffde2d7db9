/** Values as Python's `repr` shows them, since refusals are worded as the Python package words them. */

const LONGEST = 60;

/**
 * @param {unknown} value from JSON
 * @returns {string}
 */
export function repr(value) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return `[${value.map(repr).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value)
      .map(([key, item]) => `${quote(key)}: ${repr(item)}`)
      .join(", ")}}`;
  }
  return String(value);
}

/** @param {unknown} value */
export function shortRepr(value) {
  return repr(value).slice(0, LONGEST);
}

/** @param {number} value */
export function floatRepr(value) {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

/**
 * A name out of a file, in a message of one line.
 * @param {string} name
 */
export function showName(name) {
  return isPrintable(name) && name.length <= LONGEST ? name : shortRepr(name);
}

/** @param {string} text */
export function isPrintable(text) {
  return !/[^\P{C}\n]|[\p{Zl}\p{Zp}\n]|(?! )\p{Zs}/u.test(text);
}

/** @param {string} text */
function quote(text) {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const shown = Array.from(text, (letter) => {
    if (letter === "\\" || letter === mark) return `\\${letter}`;
    if (letter === "\n") return "\\n";
    if (letter === "\r") return "\\r";
    if (letter === "\t") return "\\t";
    if (isPrintable(letter)) return letter;
    const code = /** @type {number} */ (letter.codePointAt(0));
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
    return code < 0x10000
      ? `\\u${code.toString(16).padStart(4, "0")}`
      : `\\U${code.toString(16).padStart(8, "0")}`;
  });
  return mark + shown.join("") + mark;
}
