// @ts-check
/** The protocol's sound: base64 of mono little-endian 16-bit PCM at 24 kHz. */

export const RATE = 24000;

/**
 * @param {ArrayBuffer} pcm
 * @returns {string}
 */
export function toBase64(pcm) {
  const bytes = new Uint8Array(pcm);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/**
 * @param {string} text
 * @returns {ArrayBuffer}
 */
export function fromBase64(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length - (raw.length % 2));
  for (let at = 0; at < bytes.length; at++) bytes[at] = raw.charCodeAt(at);
  return bytes.buffer;
}
