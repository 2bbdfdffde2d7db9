/** Several pictures side by side, sorted. */

import { describeGradient, findRange, spanValues } from "./colours.js";
import { drawMap, drawPicture } from "./drawing.js";
import { announce, fillChoices, find, make, makeButton } from "./elements.js";
import { format, listQuantities, pickQuantity, showAttributes } from "./figures.js";

/** @typedef {import("./session.js").Scored} Scored */

/**
 * @typedef {object} Card
 * @property {File} file
 * @property {HTMLLIElement} item
 * @property {HTMLCanvasElement} canvas
 * @property {Scored | null} scored
 * @property {boolean} mapped
 * @property {string} drawn what its canvas shows, to draw it anew only where that changes
 * @property {number} orientation of a file that does not say it
 */

export class Gallery {
  /**
   * @param {import("./session.js").Session} session
   * @param {(file: File) => void} degrade opens a picture in the laboratory
   */
  constructor(session, degrade) {
    this.session = session;
    this.degrade = degrade;
    /** @type {Card[]} */
    this.cards = [];
    /** @type {Promise<void>} */
    this.work = Promise.resolve();
    this.turn = 0;
    this.list = find("pictures", HTMLOListElement);
    this.sorting = find("sort", HTMLSelectElement);
    this.order = find("order", HTMLSelectElement);
    this.mapped = find("maps", HTMLInputElement);
    this.sorting.addEventListener("change", () => this.arrange());
    this.order.addEventListener("change", () => this.arrange());
    this.mapped.addEventListener("change", () => this.arrange());
    find("clear", HTMLButtonElement).addEventListener("click", () => this.clear());
    find("gallery-scale", HTMLElement).style.backgroundImage = describeGradient();
    session.whenChanged(() => this.scoreAgain());
  }

  /**
   * @param {File[]} files
   * @param {number} [orientation] to show them by, where they do not say it
   */
  add(files, orientation = 1) {
    const added = files.map((file) => this.makeCard(file, orientation));
    this.cards.push(...added);
    this.arrange();
    added.forEach((card) => this.enqueue(card));
  }

  clear() {
    this.cards = [];
    this.arrange();
    find("choose-pictures", HTMLInputElement).focus();
  }

  scoreAgain() {
    this.turn++;
    fillChoices(this.sorting, [...listQuantities(this.session.pairs), "file name"]);
    for (const card of this.cards) {
      card.scored = null;
      this.enqueue(card);
    }
  }

  /**
   * Score one picture after the other, so that one at a time is in memory.
   * @param {Card} card
   */
  enqueue(card) {
    const turn = this.turn;
    this.work = this.work.then(async () => {
      if (turn === this.turn && this.cards.includes(card) && this.session.opened) await this.score(card);
    });
  }

  /** @param {Card} card */
  async score(card) {
    const { file, item } = card;
    const progress = make("progress", { max: "1", value: "0", "aria-label": `Scoring ${file.name}` });
    item.querySelector(".result")?.replaceChildren(progress);
    const report = (/** @type {number} */ done, /** @type {number} */ total) =>
      (progress.value = done / total);
    try {
      const request = { picture: file, name: file.name, preset: this.session.preset };
      const scored = /** @type {Scored} */ (await this.session.client.ask("score", request, { report }));
      card.drawn = "";
      card.scored = {
        ...scored,
        orientation: scored.orientation === 1 ? card.orientation : scored.orientation,
      };
      item.classList.remove("failed");
      this.fill(card);
    } catch (error) {
      item.classList.add("failed");
      const message = make("p", { class: "error" }, /** @type {Error} */ (error).message);
      item.querySelector(".result")?.replaceChildren(message, this.makeRemove(card));
      announce(/** @type {Error} */ (error).message);
    }
    this.arrange();
  }

  /**
   * @param {File} file
   * @param {number} orientation
   * @returns {Card}
   */
  makeCard(file, orientation) {
    const canvas = make("canvas", { role: "img", "aria-label": file.name });
    const name = make("h3", {}, make("bdi", {}, file.name));
    const waiting = make(
      "p",
      { class: "meta" },
      this.session.opened ? "waiting" : "waiting for the encoder",
    );
    const result = make("div", { class: "result" }, waiting);
    const item = make(
      "li",
      {},
      make("div", { class: "frame" }, canvas),
      make("div", { class: "what" }, name, result),
    );
    return { file, item, canvas, scored: null, mapped: false, drawn: "", orientation };
  }

  /** @param {Card} card */
  fill(card) {
    const scored = /** @type {Scored} */ (card.scored);
    const { means } = scored;
    const attributes = make("dl", { class: "attributes" });
    showAttributes(attributes, this.session.pairs, means.attributes);
    const facts = [
      `${scored.width} \u00d7 ${scored.height}`,
      `${scored.perView.length} views`,
      formatTime(scored.milliseconds),
    ];
    if (scored.enlarged) facts.push("enlarged first, outside the published method");
    const map = makeButton("Map", () => this.toggle(card), {
      "aria-pressed": String(card.mapped),
      "aria-label": `Map of ${card.file.name}`,
    });
    const worse = makeButton("Make it worse", () => this.degrade(card.file), {
      "aria-label": `Make it worse: ${card.file.name}`,
    });
    const cues = `similarity ${format(means.similarity)} \u00b7 magnitude ${format(means.magnitude)}`;
    card.item
      .querySelector(".result")
      ?.replaceChildren(
        make("p", { class: "score" }, format(means.score)),
        make("p", { class: "meta" }, cues),
        attributes,
        make("p", { class: "meta" }, facts.join(" \u00b7 ")),
        make("div", { class: "buttons" }, map, worse, this.makeRemove(card)),
      );
    announce(`${card.file.name}: score ${format(means.score)}`);
  }

  /** @param {Card} card */
  makeRemove(card) {
    const remove = () => {
      const next = card.item.nextElementSibling ?? card.item.previousElementSibling;
      this.cards = this.cards.filter((other) => other !== card);
      this.arrange();
      const focus = next?.querySelector("button:last-of-type") ?? find("choose-pictures", HTMLInputElement);
      if (focus instanceof HTMLElement) focus.focus();
    };
    return makeButton("Remove", remove, { "aria-label": `Remove ${card.file.name}` });
  }

  /** @param {Card} card */
  toggle(card) {
    card.mapped = !card.mapped;
    this.arrange();
  }

  /** Put the cards in order and draw them; all maps share one range of colours. */
  arrange() {
    find("gallery", HTMLElement).classList.toggle("filled", this.cards.length > 0);
    const { pairs } = this.session;
    const quantity = this.sorting.value;
    const [shown, sign] = [
      quantity === "file name" ? "score" : quantity || "score",
      Number(this.order.value),
    ];
    const value = (/** @type {Card} */ { scored }) =>
      scored ? pickQuantity(scored.means, shown, pairs) : Infinity * sign;
    const byValue = (/** @type {Card} */ a, /** @type {Card} */ b) =>
      quantity === "file name"
        ? sign * a.file.name.localeCompare(b.file.name)
        : sign * (value(a) - value(b)) || 0;
    this.cards.sort(byValue);
    this.place(this.cards.map((card) => card.item));
    this.draw(shown);
  }

  /**
   * Draw the pictures, and over some of them the map of a quantity.
   * @param {string} quantity
   */
  draw(quantity) {
    const maps = new Map(
      this.cards.flatMap(({ item, scored }) =>
        scored ? [[item, this.session.makeMap(scored, quantity)]] : [],
      ),
    );
    const ends = [...maps.values()].flatMap(({ values }) => findRange(values));
    const span = ends.length ? spanValues(ends) : /** @type {[number, number]} */ ([0, 1]);
    let anyMap = false;
    for (const card of this.cards) {
      const { scored, canvas } = card;
      const map = maps.get(card.item);
      if (!scored || !map) continue;
      const on = this.mapped.checked || card.mapped;
      anyMap ||= on;
      const wanted = on ? `${quantity} ${span}` : "picture";
      if (wanted !== card.drawn) on ? drawMap(canvas, scored, map, span) : drawPicture(canvas, scored);
      card.drawn = wanted;
      card.item.querySelector("[aria-pressed]")?.setAttribute("aria-pressed", String(on));
      const value = format(pickQuantity(scored.means, quantity, this.session.pairs));
      canvas.setAttribute(
        "aria-label",
        `${on ? "Quality map of " : ""}${card.file.name}, ${quantity} ${value}`,
      );
    }
    find("gallery-legend", HTMLElement).hidden = !anyMap;
    find("gallery-shown", HTMLElement).textContent = `map of ${quantity}`;
    find("gallery-low", HTMLElement).textContent = span[0].toFixed(2);
    find("gallery-high", HTMLElement).textContent = span[1].toFixed(2);
  }

  /**
   * Move only what is out of place, so that nothing loses the focus.
   * @param {HTMLElement[]} items
   */
  place(items) {
    [...this.list.children]
      .filter((child) => !items.includes(/** @type {HTMLElement} */ (child)))
      .forEach((child) => child.remove());
    items.forEach((item, place) => {
      if (this.list.children[place] !== item)
        this.list.insertBefore(item, this.list.children[place] ?? null);
    });
  }
}

/** @param {number} milliseconds */
function formatTime(milliseconds) {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}
