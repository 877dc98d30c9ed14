// @ts-check
/** The microphone: 20 ms chunks of 24 kHz PCM16, and errors as sentences with a cure. */

export class MicrophoneError extends Error {}

export class Microphone extends EventTarget {
  /**
   * @param {AudioContext} context with the module microphone-worklet.js loaded
   * @param {MediaStream} stream
   */
  constructor(context, stream) {
    super();
    this.stream = stream;
    this.level = 0;
    this.source = context.createMediaStreamSource(stream);
    this.node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
    this.source.connect(this.node);
    this.node.port.onmessage = ({ data }) => {
      this.level = data.level;
      this.dispatchEvent(new CustomEvent("chunk", { detail: data.pcm }));
    };
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

  close() {
    this.node.port.onmessage = null;
    this.source.disconnect();
    for (const track of this.stream.getTracks()) track.stop();
  }
}

/** @returns {Promise<MediaStream>} Throws MicrophoneError. */
export async function askForMicrophone() {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
    throw new MicrophoneError(
      `Browsers lend the microphone only to secure pages. Open this page as https://, or on the server's own machine as http://localhost:${location.port || 80}. You can type meanwhile.`,
    );
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    throw new MicrophoneError(sentence(error instanceof DOMException ? error.name : ""), { cause: error });
  }
}

/**
 * @param {string} name of the browser's error
 * @returns {string}
 */
function sentence(name) {
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return "Parley may not use the microphone. Allow it beside the page's address, then press the button again; or type below.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No microphone was found. Plug one in and press the button again, or type below.";
    case "NotReadableError":
    case "AbortError":
      return "The microphone is there but can't be opened: another program may hold it. Close that one and press the button again, or type below.";
    default:
      return "The microphone can't be used in this browser. Try another browser, or type below.";
  }
}
