/** Figures: a score's quantities by name, and bars of attributes. */

import { make } from "./elements.js";

/** @typedef {import("../method/head.js").Quality} Quality */

export const QUANTITIES = ["score", "similarity", "magnitude"];

/**
 * A quantity by its name: the score, a cue, or a prompt pair's attribute.
 * @param {Quality} quality
 * @param {string} name
 * @param {string[]} pairs the attributes' names
 * @returns {number}
 */
export function pickQuantity(quality, name, pairs) {
  if (name === "score" || name === "similarity" || name === "magnitude") return quality[name];
  return quality.attributes[pairs.indexOf(name)];
}

/**
 * What can be shown, mapped and sorted by. An attribute of a figure's name is not told apart.
 * @param {string[]} pairs
 */
export function listQuantities(pairs) {
  return [...QUANTITIES, ...pairs.filter((pair) => !QUANTITIES.includes(pair))];
}

/** @param {number} value */
export function format(value) {
  return value.toFixed(3);
}

/**
 * A difference with its sign, the real minus.
 * @param {number} value
 */
export function formatChange(value) {
  return `${value < 0 ? "\u2212" : "+"}${Math.abs(value).toFixed(3)}`;
}

/**
 * Bars of attributes, 0 to 1, with a mark where each was before.
 * @param {HTMLElement} list a `dl`
 * @param {string[]} pairs
 * @param {number[]} values
 * @param {number[]} [before]
 */
export function showAttributes(list, pairs, values, before) {
  const rows = pairs.map((pair, place) => {
    const fill = make("i", { class: "fill" });
    fill.style.inlineSize = `${100 * values[place]}%`;
    const bar = make("span", { class: "bar", "aria-hidden": "true" }, fill);
    if (before) {
      const mark = make("i", { class: "before" });
      mark.style.insetInlineStart = `${100 * before[place]}%`;
      bar.append(mark);
    }
    return make("div", {}, make("dt", {}, pair), make("dd", {}, bar, values[place].toFixed(2)));
  });
  list.replaceChildren(...rows);
}
