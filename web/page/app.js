/** The page: its parts, put together. */

import { Client } from "./client.js";
import { BundlePanel } from "./ui/bundle-panel.js";
import { CameraPanel } from "./ui/camera.js";
import { find } from "./ui/elements.js";
import { Gallery } from "./ui/gallery.js";
import { connectIntake, readClipboard } from "./ui/intake.js";
import { Lab } from "./ui/lab.js";
import { Session } from "./ui/session.js";

const FIRST = "chelsea.jpg";
const SAMPLES = [FIRST, "astronaut.jpg", "coffee.jpg"];

const session = new Session(new Client());
const lab = new Lab(session);
const gallery = new Gallery(session, (file) => showInLab(file));
const bundles = new BundlePanel(session);
const camera = new CameraPanel(session);

connectIntake({ takePictures, takeBundle: (entries) => bundles.open(entries) });
for (const button of document.querySelectorAll("button[data-sample]")) {
  const name = /** @type {HTMLElement} */ (button).dataset.sample ?? FIRST;
  button.addEventListener("click", async () => lab.open(await fetchSample(name), name));
}
const own = find("lab-choose", HTMLInputElement);
own.addEventListener("change", () => {
  const [file] = own.files ?? [];
  if (file) lab.open(file, file.name);
  own.value = "";
});
find("compare-samples", HTMLButtonElement).addEventListener("click", async () => {
  gallery.add(await Promise.all(SAMPLES.map(fetchSample)));
});
find("lab-keep", HTMLButtonElement).addEventListener("click", async () => {
  const { file, orientation } = await lab.save();
  gallery.add([file], orientation);
});
find("paste", HTMLButtonElement).addEventListener("click", async () => {
  const problem = find("intake-error", HTMLElement);
  try {
    const files = await readClipboard();
    problem.textContent = files.length ? "" : "There is no picture on the clipboard.";
    if (files.length) takePictures(files);
  } catch {
    problem.textContent =
      "The browser did not hand out the clipboard; press Ctrl+V (on a Mac, \u2318V) instead.";
  }
});

void bundles.open(null);
void fetchSample(FIRST).then((sample) => lab.open(sample, FIRST));

/** @param {File[]} files */
function takePictures(files) {
  gallery.add(files);
  find("gallery", HTMLElement).scrollIntoView({ block: "start" });
}

/** @param {File} file */
function showInLab(file) {
  find("lab", HTMLElement).scrollIntoView({ block: "start" });
  find("blur", HTMLInputElement).focus({ preventScroll: true });
  return lab.open(file, file.name);
}

/** @param {string} name */
async function fetchSample(name) {
  const reply = await fetch(new URL(`samples/${name}`, import.meta.url));
  return new File([await reply.blob()], name, { type: "image/jpeg" });
}

export { camera, gallery, lab, session }; // for the console, and for tests
