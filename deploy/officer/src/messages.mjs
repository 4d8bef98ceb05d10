// What an officer may believe of a room's messages: decrypted, edited, with their warnings.
// An edit counts only if it is as trustworthy as what it replaces: same sender, same type, and
// encrypted if the original was, else the homeserver could put words into an officer's card.
import { Direction, EventStatus, MatrixEvent } from "matrix-js-sdk";
import {
  EventShieldColour,
  EventShieldReason,
  DecryptionFailureCode,
} from "matrix-js-sdk/lib/crypto-api/index.js";

const SHOWN = new Set(["m.room.message", "m.sticker", "m.poll.start", "m.poll.response"]);
const UNSTABLE = "org.matrix.msc3381.poll.";

/** Whether an event of this type is a message that a timeline shows. */
export function isMessage(type) {
  return SHOWN.has(type) || type.startsWith(UNSTABLE) || type === "m.room.encrypted";
}

/** The messages of a room's live timeline, oldest first, as plain values. */
export async function roomMessages(client, room) {
  const events = room.getLiveTimeline().getEvents();
  await Promise.all(events.map((event) => client.decryptEventIfNeeded(event).catch(() => {})));
  const readings = await Promise.all(events.map((event) => reading(client, event)));
  return withEdits(readings.filter((message) => isMessage(message.type)));
}

const PAGE = 100;

/**
 * The messages of a room from the newest back to the event `until`, which is left out, or to its
 * beginning; oldest first, edits as messages of their own. Read page by page from the server, so
 * nothing that a limited sync skipped is missing.
 */
export async function roomHistory(client, roomId, until) {
  const events = [];
  for (let from = null; ;) {
    const page = await client.createMessagesRequest(roomId, from, PAGE, Direction.Backward);
    const known = page.chunk.findIndex((event) => event.event_id === until);
    events.push(...(known < 0 ? page.chunk : page.chunk.slice(0, known)));
    if (known >= 0 || !page.end || page.chunk.length === 0) break;
    from = page.end;
  }
  const found = events.reverse().map((event) => new MatrixEvent(event));
  await Promise.all(found.map((event) => client.decryptEventIfNeeded(event).catch(() => {})));
  const readings = await Promise.all(found.map((event) => reading(client, event)));
  return readings.filter((message) => isMessage(message.type));
}

/** One event as a plain value, before edits are applied. */
async function reading(client, event) {
  const encrypted = event.isEncrypted();
  const decrypted = encrypted && !event.isDecryptionFailure() && event.getClearContent() !== null;
  const shield = decrypted ? await client.getCrypto().getEncryptionInfoForEvent(event) : null;
  const readable = !event.isRedacted() && (decrypted || !encrypted);
  const content = readable ? event.getOriginalContent() : {};
  // What the sender encrypted counts; the copy outside the ciphertext is the homeserver's to change.
  const relation = content["m.relates_to"] ?? event.getWireContent()["m.relates_to"];
  return {
    event_id: event.getId(),
    room_id: event.getRoomId(),
    sender: event.getSender(),
    type: event.getType(),
    ts: event.getTs(),
    content,
    body: content.body ?? "",
    encrypted,
    decrypted,
    redacted: event.isRedacted(),
    pending: event.status !== null,
    failed: event.status === EventStatus.NOT_SENT,
    failure: encrypted && !decrypted ? failureOf(event) : null,
    shield: shield ? EventShieldColour[shield.shieldColour].toLowerCase() : "none",
    shield_reason: kebab(EventShieldReason[shield?.shieldReason]),
    reply_to: relation?.["m.in_reply_to"]?.event_id ?? null,
    replaces: relation?.rel_type === "m.replace" ? relation.event_id : null,
    edited: false,
    edit_event_id: null,
  };
}

function failureOf(event) {
  return event.decryptionFailureReason ?? DecryptionFailureCode.UNKNOWN_ERROR;
}

function kebab(name) {
  return name ? name.toLowerCase().replaceAll("_", "-") : null;
}

/** Fold edits into their originals. Pure: values in, values out. */
export function withEdits(readings) {
  const edits = new Map();
  for (const edit of readings.filter((message) => message.replaces))
    edits.set(edit.replaces, [...(edits.get(edit.replaces) ?? []), edit]);
  return readings
    .filter((message) => !message.replaces)
    .map((message) => edited(message, edits.get(message.event_id) ?? []));
}

function edited(message, edits) {
  const edit = edits.filter((candidate) => mayReplace(message, candidate)).at(-1);
  if (!edit) return message;
  const content = edit.content["m.new_content"];
  return {
    ...message,
    content,
    body: content.body ?? "",
    edited: true,
    edit_event_id: edit.event_id,
  };
}

function mayReplace(message, edit) {
  return (
    edit.sender === message.sender &&
    edit.type === message.type &&
    edit.content["m.new_content"] !== undefined &&
    !message.redacted &&
    (!message.encrypted || (edit.decrypted && edit.shield === message.shield))
  );
}
