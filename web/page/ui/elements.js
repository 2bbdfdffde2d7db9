/** Finding and making elements. */

/**
 * The element of an id, of the kind that is expected there.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} Kind
 * @returns {T}
 */
export function find(id, Kind) {
  const element = document.getElementById(id);
  if (!(element instanceof Kind)) throw new Error(`the page has no ${Kind.name} #${id}`);
  return element;
}

/**
 * A new element; text is always text, whatever is in it.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Partial<Record<string, string | boolean>>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/**
 * @param {string} label
 * @param {() => void} act
 * @param {Partial<Record<string, string>>} [attributes]
 */
export function makeButton(label, act, attributes = {}) {
  const button = make("button", { type: "button", ...attributes }, label);
  button.addEventListener("click", act);
  return button;
}

/**
 * Fill a list of choices, keeping the one chosen where it is still there.
 * @param {HTMLSelectElement} select
 * @param {string[]} names
 */
export function fillChoices(select, names) {
  const chosen = select.value;
  select.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  if (names.includes(chosen)) select.value = chosen;
}

/**
 * Tell who cannot see the page what happened.
 * @param {string} text
 */
export function announce(text) {
  find("announcement", HTMLElement).textContent = text;
}
