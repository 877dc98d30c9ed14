// `@openai/agents` for Node, realtime over its WebSocket transport. What a driver is: see ../drivers/common.py.

import { readFileSync } from "node:fs";
import { RealtimeAgent, RealtimeSession, tool } from "@openai/agents/realtime";
import { setTracingDisabled } from "@openai/agents";
import { z } from "zod";

setTracingDisabled(true); // the tracing of agents would call OpenAI's servers

const [url, folder, ...names] = process.argv.slice(2);
const STORY = "Tell me a long story about a ship and its captain.";
const MANNER =
  "You are a voice assistant. Answer a question in one short sentence. " +
  "When you are asked for a story, tell a long one with many sentences.";
const CAPITAL = "What is the capital of France?";
const LIMIT_MS = 60_000;

const recording = (name) => readFileSync(`${folder}/${name}.pcm`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`TimeoutError: not within ${seconds} s: ${condition}`);
    await sleep(20);
  }
}

class Talk {
  constructor({ tools = [], config = {} } = {}) {
    this.agent = new RealtimeAgent({ name: "Parley", instructions: MANNER, tools });
    this.session = new RealtimeSession(this.agent, { transport: "websocket", model: "gpt-realtime", config });
    this.raw = [];
    this.errors = [];
    this.soundS = 0;
    this.interruptions = 0;
    this.session.on("transport_event", (event) => this.raw.push(event));
    this.session.on("error", (event) => this.errors.push(event.error));
    this.session.on("audio", (event) => (this.soundS += event.data.byteLength / 48_000));
    this.session.on("audio_interrupted", () => (this.interruptions += 1));
  }

  async connect() {
    const before = this.of("session.updated").length;
    await this.session.connect({ apiKey: "none", url: `${url.replace("http", "ws")}/v1/realtime?model=gpt-realtime` });
    await until(() => this.of("session.updated").length > before);
  }

  of(kind) {
    return this.raw.filter((event) => event.type === kind);
  }

  done(number = 1) {
    return this.of("response.done").length >= number;
  }

  items(role) {
    return this.session.history.filter((item) => item.type === "message" && item.role === role);
  }

  wordsOf(item) {
    return (item?.content ?? []).map((part) => part.transcript ?? part.text ?? "").join("");
  }

  words(role) {
    return this.wordsOf(this.items(role).at(-1));
  }

  said(responseId) {
    const deltas = this.of("response.output_audio_transcript.delta");
    return deltas.filter((event) => event.response_id === responseId).map((event) => event.delta).join("");
  }

  complaints() {
    return this.errors.map((error) => error?.error?.message ?? error?.message ?? String(error));
  }

  async speak(pcm, thenS = 0) {
    const step = 960;
    const all = Buffer.concat([pcm, Buffer.alloc(Math.floor(24_000 * thenS) * 2)]);
    const began = performance.now();
    for (let at = 0; at < all.length; at += step) {
      const piece = all.subarray(at, at + step);
      this.session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.length));
      await sleep(Math.max(0, began + (at + step) / 48 - performance.now()));
    }
  }
}

async function talking(options, talk) {
  const it = new Talk(options);
  await it.connect();
  try {
    return await talk(it);
  } finally {
    it.session.close();
  }
}

const conversations = {
  spoken: () =>
    talking({}, async (talk) => {
      await talk.speak(recording("question"), 1.5);
      await until(() => talk.done() && talk.words("user") && talk.words("assistant"));
      return { user: talk.words("user"), assistant: talk.words("assistant"), sound_s: talk.soundS, errors: talk.complaints() };
    }),

  push_to_talk: () =>
    talking({ config: { audio: { input: { turnDetection: null } } } }, async (talk) => {
      await talk.speak(recording("question"));
      talk.session.sendAudio(new ArrayBuffer(960), { commit: true });
      talk.session.transport.requestResponse();
      await until(() => talk.done() && talk.words("user"));
      return { user: talk.words("user"), sound_s: talk.soundS, errors: talk.complaints() };
    }),

  barge_in: () =>
    talking({}, async (talk) => {
      talk.session.sendMessage(STORY);
      await until(() => talk.soundS > 1.2);
      const first = talk.of("response.output_audio.delta")[0];
      const speaking = talk.speak(recording("interruption"), 1.5);
      await until(() => talk.interruptions > 0);
      await until(() => talk.done() && talk.of("response.created").length > 1 && talk.of("conversation.item.retrieved").some((e) => e.item.id === first.item_id));
      await speaking;
      await until(() => talk.items("assistant").length > 1 && talk.words("assistant"));
      return {
        interrupted: talk.interruptions > 0,
        truncated: talk.of("conversation.item.truncated").some((event) => event.item_id === first.item_id),
        said: talk.said(first.response_id),
        kept: talk.wordsOf(talk.session.history.find((item) => item.itemId === first.item_id)),
        assistant: talk.words("assistant"),
        errors: talk.complaints(),
      };
    }),

  typed: () =>
    talking({ config: { outputModalities: ["text"] } }, async (talk) => {
      talk.session.sendMessage(CAPITAL);
      await until(() => talk.done() && talk.words("assistant"));
      return { assistant: talk.words("assistant"), errors: talk.complaints() };
    }),

  tool: () => {
    const calls = [];
    const getWeather = tool({
      name: "get_weather",
      description: "Get the current weather of a city.",
      parameters: z.object({ city: z.string() }),
      execute: async ({ city }) => {
        calls.push({ name: "get_weather", arguments: city });
        return JSON.stringify({ celsius: 21, sky: "sunny" });
      },
    });
    return talking({ tools: [getWeather] }, async (talk) => {
      talk.session.sendMessage("What is the weather like in Paris?");
      await until(() => talk.done(2) && talk.words("assistant"));
      return { calls, assistant: talk.words("assistant"), errors: talk.complaints() };
    });
  },

  image: () =>
    talking({}, async (talk) => {
      const image = readFileSync(`${folder}/picture.txt`, "utf8");
      const content = [{ type: "input_image", image }, { type: "input_text", text: "Say hello." }];
      talk.session.sendMessage({ type: "message", role: "user", content });
      await until(() => talk.errors.length || talk.words("assistant"));
      const added = talk.of("conversation.item.added").filter((event) => event.item.role === "user");
      return {
        kept: added.some((event) => event.item.content.some((part) => part.type === "input_image")),
        assistant: talk.words("assistant"),
        errors: talk.complaints(),
      };
    }),

  cancel: () =>
    talking({}, async (talk) => {
      talk.session.sendMessage(STORY);
      await until(() => talk.soundS > 0.5);
      talk.session.interrupt();
      await until(() => talk.done());
      const soundS = talk.soundS;
      talk.session.sendMessage(CAPITAL);
      await until(() => talk.done(2) && talk.words("assistant"));
      return {
        cancelled: talk.of("response.done")[0].response.status === "cancelled",
        stopped: soundS < 2 && talk.soundS > soundS,
        assistant: talk.words("assistant"),
        errors: talk.complaints(),
      };
    }),

  error: () =>
    talking({}, async (talk) => {
      talk.session.transport.sendEvent({ type: "conversation.item.retrieve", item_id: "item_nobody_knows", event_id: "mine_1" });
      await until(() => talk.errors.length);
      talk.session.sendMessage(CAPITAL);
      await until(() => talk.done() && talk.words("assistant"));
      return {
        event_id: talk.errors[0].error.event_id,
        expected: "mine_1",
        assistant: talk.words("assistant"),
        errors: talk.complaints().slice(1),
      };
    }),

  reconnect: async () => {
    const talk = new Talk();
    for (const round of [1, 2]) {
      await talk.connect();
      talk.session.sendMessage(CAPITAL);
      await until(() => talk.done(round) && talk.words("assistant"));
      talk.session.close();
      await sleep(50);
    }
    const ids = new Set(talk.of("session.created").map((event) => event.session.id));
    return { assistant: talk.words("assistant"), errors: talk.complaints(), connections: ids.size };
  },
};

for (const name of names) {
  const began = performance.now();
  const line = { conversation: name };
  try {
    let timer;
    const limit = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("TimeoutError")), LIMIT_MS)));
    line.facts = await Promise.race([conversations[name](), limit]);
    clearTimeout(timer);
  } catch (error) {
    console.error(error);
    line.failed = String(error?.message ?? error).split("\n")[0].slice(0, 200);
  }
  line.seconds = Math.round((performance.now() - began) / 100) / 10;
  console.log(JSON.stringify(line));
}
process.exit(0);
