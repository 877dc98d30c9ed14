// The official SDK's websocket, unmodified: it makes every address a wss:// one. Usage: node converse.mjs BASE_URL
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

const [, , baseURL] = process.argv;
const client = new OpenAI({ baseURL });
const connection = new OpenAIRealtimeWS({ model: "gpt-realtime" }, client);
const seen = { url: connection.url.href, events: [], text: "", instructions: "" };

connection.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
connection.on("event", (event) => {
  if (!event.type.endsWith(".delta")) seen.events.push(event.type);
});
connection.on("session.created", ({ session }) => {
  seen.instructions = session.instructions;
  connection.send({ type: "session.update", session: { type: "realtime", output_modalities: ["text"] } });
  const content = [{ type: "input_text", text: "Hello" }];
  connection.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
  connection.send({ type: "response.create" });
});
connection.on("response.output_text.delta", ({ delta }) => {
  seen.text += delta;
});
connection.on("response.done", () => {
  connection.close();
  console.log(JSON.stringify(seen));
});
