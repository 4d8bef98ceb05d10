// Edits: what a timeline shows after them, and whose edits it does not believe.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withEdits } from "../src/messages.mjs";

const card = {
  event_id: "$card",
  sender: "@eoffice:itt.gov.test",
  type: "m.room.message",
  content: { body: "open" },
  body: "open",
  encrypted: true,
  decrypted: true,
  redacted: false,
  shield: "none",
  replaces: null,
  edited: false,
  edit_event_id: null,
};
const outcome = {
  ...card,
  event_id: "$outcome",
  content: { body: "* approved", "m.new_content": { body: "approved" } },
  replaces: "$card",
};
const shown = (...readings) => withEdits(readings).map((message) => message.body);

test("a card edited to its outcome is shown as the outcome", () => {
  const [message] = withEdits([card, outcome]);
  assert.equal(message.body, "approved");
  assert.equal(message.edited, true);
  assert.equal(message.edit_event_id, "$outcome");
});

test("the last edit counts", () => {
  const later = { ...outcome, content: { "m.new_content": { body: "returned" } } };
  assert.deepEqual(shown(card, outcome, later), ["returned"]);
});

test("an edit by another sender changes nothing", () => {
  assert.deepEqual(shown(card, { ...outcome, sender: "@mallory:itt.gov.test" }), ["open"]);
});

test("a clear-text edit of an encrypted card changes nothing", () => {
  const forged = { ...outcome, encrypted: false, decrypted: false };
  assert.deepEqual(shown(card, forged), ["open"]);
});

test("an edit under a warning that the card does not carry changes nothing", () => {
  assert.deepEqual(shown(card, { ...outcome, shield: "red" }), ["open"]);
});

test("a refused edit does not hide an earlier good one", () => {
  assert.deepEqual(shown(card, outcome, { ...outcome, shield: "red" }), ["approved"]);
});

test("an edit of a removed message does not bring it back", () => {
  assert.deepEqual(shown({ ...card, redacted: true, body: "" }, outcome), [""]);
});
