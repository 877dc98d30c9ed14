// @ts-check
/** The microphone: its sound goes to the line in chunks of 20 ms, past the page. */
import { MICROPHONE, Trouble } from "./sentences.js";

export class Microphone extends EventTarget {
  /**
   * Event: "unplugged".
   * @param {AudioContext} context with the module microphone-worklet.js loaded
   * @param {MediaStream} stream
   * @param {MessagePort} sound where the chunks go
   * @param {MessagePort} level where the orb reads how loud it is
   */
  constructor(context, stream, sound, level) {
    super();
    this.stream = stream;
    this.source = context.createMediaStreamSource(stream);
    this.node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
    this.node.port.postMessage({ type: "ports", sound, level }, [sound, level]);
    this.source.connect(this.node);
    this.track.addEventListener("ended", () => this.dispatchEvent(new Event("unplugged")));
  }

  get track() {
    return this.stream.getAudioTracks()[0];
  }

  /** Muted, it goes on sending, but silence: what was being said can then still end. */
  get muted() {
    return !this.track.enabled;
  }

  set muted(muted) {
    this.track.enabled = !muted;
  }

  /**
   * Send, or don't. When it closes, the line hears "released" after the last chunk.
   * @param {boolean} open
   */
  gate(open) {
    this.node.port.postMessage({ type: "gate", open });
  }

  close() {
    this.source.disconnect();
    for (const track of this.stream.getTracks()) track.stop();
  }
}

/** @returns {Promise<MediaStream>} Throws Trouble. */
export async function askForMicrophone() {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) throw new Trouble(MICROPHONE.insecure());
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    throw new Trouble(MICROPHONE.refused(error instanceof DOMException ? error.name : ""), { cause: error });
  }
}
