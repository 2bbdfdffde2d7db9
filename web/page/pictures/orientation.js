/**
 * EXIF's orientation of JPEGs. Browsers turn pictures as it says and cannot be told not to; the method
 * takes pixels as they are stored. So the tag is set to "upright" before decoding, and what it said is used
 * for showing alone.
 */

const HEAD = 1 << 17; // bytes, beyond which no EXIF begins that a decoder heeds
const APP1 = 0xe1;
const START_OF_SCAN = 0xda;
const TAG = 0x0112;
const UPRIGHT = 1;

/**
 * The picture without its orientation, and that, 1 to 8 as EXIF numbers them.
 * @param {Blob} picture
 * @returns {Promise<{stored: Blob, orientation: number}>}
 */
export async function takeOrientation(picture) {
  const head = await picture.slice(0, HEAD).arrayBuffer();
  const place = findTag(new DataView(head));
  if (!place) return { stored: picture, orientation: UPRIGHT };
  const { offset, little } = place;
  const view = new DataView(head);
  const said = view.getUint16(offset, little);
  view.setUint16(offset, UPRIGHT, little);
  return {
    stored: new Blob([head, picture.slice(HEAD)]),
    orientation: said >= 1 && said <= 8 ? said : UPRIGHT,
  };
}

/**
 * Where a JPEG keeps the orientation's value, and in which byte order; null if it has none.
 * @param {DataView} view
 */
function findTag(view) {
  try {
    if (view.getUint16(0) !== 0xffd8) return null;
    let position = 2;
    while (view.getUint8(position) === 0xff && view.getUint8(position + 1) !== START_OF_SCAN) {
      const isExif = view.getUint32(position + 4) === 0x45786966; // "Exif"
      if (view.getUint8(position + 1) === APP1 && isExif) return findInTiff(view, position + 10);
      position += 2 + view.getUint16(position + 2);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // it ends early: what it lacks it does not say
  }
  return null;
}

/**
 * @param {DataView} view
 * @param {number} start of the TIFF header
 */
function findInTiff(view, start) {
  const little = view.getUint16(start) === 0x4949;
  const directory = start + view.getUint32(start + 4, little);
  const count = view.getUint16(directory, little);
  for (let entry = 0; entry < count; entry++) {
    const offset = directory + 2 + 12 * entry;
    if (view.getUint16(offset, little) === TAG) return { offset: offset + 8, little };
  }
  return null;
}
