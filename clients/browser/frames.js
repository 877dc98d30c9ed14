// @ts-check
/** The wire's binary messages: a small header, then sound or a picture. docs/extensions.md has the layout. */

const VERSION = 1;
const MICROPHONE = 1;
const SPEECH = 2;
const PICTURE = 3;
const HEADER = 12;

/** @typedef {{response: string, sequence: number, atMs: number, pcm: ArrayBuffer}} Speech a piece of a reply's sound */

/**
 * @param {ArrayBuffer} pcm
 * @returns {ArrayBuffer} the message that carries it to the server
 */
export function microphoneFrame(pcm) {
  return frameOf(MICROPHONE, pcm);
}

/**
 * @param {ArrayBuffer} jpeg
 * @param {number} takenAt milliseconds of this machine's clock
 * @returns {ArrayBuffer} the message that carries it to the server
 */
export function pictureFrame(jpeg, takenAt) {
  const frame = frameOf(PICTURE, jpeg);
  new DataView(frame).setUint32(8, Math.round(takenAt) % 2 ** 32, true);
  return frame;
}

/**
 * @param {number} kind
 * @param {ArrayBuffer} payload
 */
function frameOf(kind, payload) {
  const frame = new Uint8Array(HEADER + payload.byteLength);
  frame[0] = VERSION;
  frame[1] = kind;
  frame.set(new Uint8Array(payload), HEADER);
  return frame.buffer;
}

/**
 * @param {ArrayBuffer} data
 * @returns {Speech | null} null for what this version doesn't know
 */
export function speechOf(data) {
  if (data.byteLength < HEADER) return null;
  const view = new DataView(data);
  if (view.getUint8(0) !== VERSION || view.getUint8(1) !== SPEECH) return null;
  const length = view.getUint8(2);
  const start = HEADER + ((length + 3) & ~3);
  if (start > data.byteLength) return null;
  return {
    response: new TextDecoder().decode(new Uint8Array(data, HEADER, length)),
    sequence: view.getUint32(4, true),
    atMs: view.getUint32(8, true),
    pcm: data.slice(start, data.byteLength - ((data.byteLength - start) % 2)),
  };
}
