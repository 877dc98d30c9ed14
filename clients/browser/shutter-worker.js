// @ts-check
/**
 * Makes JPEGs of the camera's pictures, beside the page: five a second while something moves and the line is free, one a
 * second of what stays as it is.
 *
 * In, from the page: {line: MessagePort} once, then {picture, takenAt}; out: {gapMs}, how long after this one it wants the next.
 * Out, to the line: {jpeg, takenAt}; in: whether it went.
 */

/** @typedef {ImageBitmap | VideoFrame} Picture */

const MOST_PIXELS = { long: 640, short: 480 };
const QUALITY = 0.8;
const QUICK_MS = 200;
const SLOW_MS = 1000;
/** Something moved where so many dots differ by so much, red, green and blue together, from the last picture that went. */
const DOTS = { width: 32, height: 24, differ: 40, least: 4 };

const page = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const canvas = new OffscreenCanvas(1, 1);
const brush = canvas.getContext("2d", { alpha: false });
const small = new OffscreenCanvas(DOTS.width, DOTS.height).getContext("2d", { alpha: false, willReadFrequently: true });

/** @type {MessagePort | null} */
let line = null;
/** @type {(went: boolean) => void} */
let answered = () => {};
/** @type {Uint8ClampedArray | null} */
let before = null;
let sentAt = -Infinity;
let gapMs = QUICK_MS;

/** @param {{jpeg: ArrayBuffer, takenAt: number}} message @returns {Promise<boolean>} whether it went */
function send(message) {
  return new Promise((done) => {
    answered = done;
    line?.postMessage(message, [message.jpeg]);
  });
}

/** @param {Picture} picture @returns {Uint8ClampedArray} its dots, four bytes each */
function dotsOf(picture) {
  if (!small) throw new Error("This browser has no canvas.");
  small.imageSmoothingQuality = "medium";
  small.drawImage(picture, 0, 0, DOTS.width, DOTS.height);
  return small.getImageData(0, 0, DOTS.width, DOTS.height).data;
}

/** @param {Uint8ClampedArray} dots */
function moved(dots) {
  if (!before) return true;
  let count = 0;
  for (let at = 0; at < dots.length; at += 4) {
    let difference = 0;
    for (let of = at; of < at + 3; of++) difference += Math.abs(dots[of] - before[of]);
    if (difference > DOTS.differ) count += 1;
  }
  return count >= DOTS.least;
}

/** @param {Picture} picture @returns {Promise<ArrayBuffer>} */
async function jpegOf(picture) {
  const [width, height] = "displayWidth" in picture ? [picture.displayWidth, picture.displayHeight] : [picture.width, picture.height];
  const { long, short } = MOST_PIXELS;
  const scale = Math.min(1, long / Math.max(width, height), short / Math.min(width, height));
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  brush?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return (await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY })).arrayBuffer();
}

/** @param {{picture: Picture, takenAt: number}} message */
async function take({ picture, takenAt }) {
  try {
    const dots = dotsOf(picture);
    if (!moved(dots) && takenAt - sentAt < SLOW_MS - QUICK_MS / 2) return;
    const went = await send({ jpeg: await jpegOf(picture), takenAt });
    // A line that is busy is left alone for longer each time; one that is free is used more again, step by step.
    gapMs = went ? Math.max(QUICK_MS, gapMs * 0.8) : Math.min(SLOW_MS, gapMs * 2);
    if (!went) return;
    before = dots;
    sentAt = takenAt;
  } finally {
    picture.close();
    page.postMessage({ gapMs });
  }
}

page.onmessage = ({ data }) => {
  if (data.picture) void take(data);
  else {
    line = data.line;
    if (line) line.onmessage = (event) => answered(event.data);
  }
};
