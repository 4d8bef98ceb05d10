// The headless officer: one Matrix device driven by JSON lines.
//
// In:  {"id": 1, "command": "login", ...arguments}            one object a line on stdin
// Out: {"id": 1, "ok": true, "result": {...}}                  one answer for each command
//      {"id": 1, "ok": false, "error": {"reason", "detail"}}   reason is a stable kebab-case code
// Commands run side by side; answers come as they are ready. Logs go to stderr.
import { Console } from "node:console";
import { createInterface } from "node:readline";

// stdout belongs to the answers: libraries that log to the console are sent to stderr.
globalThis.console = new Console(process.stderr, process.stderr);
const quiet = process.env.RABTA_OFFICER_LOG !== "1";
if (quiet) for (const level of ["debug", "trace", "log", "info"]) console[level] = () => {};

const { Officer } = await import("./src/officer.mjs");
const { Refusal, describe } = await import("./src/refusal.mjs");

const officer = new Officer();

function answer(id, outcome) {
  process.stdout.write(`${JSON.stringify({ id, ...outcome })}\n`);
}

async function obey(line) {
  let id = null;
  try {
    const { id: given, command, ...args } = JSON.parse(line);
    id = given ?? null;
    if (!Officer.COMMANDS.has(command)) throw new Refusal("unknown-command", String(command));
    answer(id, { ok: true, result: (await officer[command](args)) ?? {} });
  } catch (error) {
    const bad = error instanceof SyntaxError ? new Refusal("bad-json", error.message) : error;
    if (!quiet) console.error(error);
    answer(id, { ok: false, error: describe(bad) });
  }
}

process.on("unhandledRejection", (error) => console.error("unhandled:", describe(error)));
for await (const line of createInterface({ input: process.stdin })) if (line.trim()) obey(line);
await officer.close({});
process.exit(0); // the SDK's timers would keep the process
