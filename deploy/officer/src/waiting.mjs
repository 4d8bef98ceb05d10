// Waiting for what the next sync or decryption may bring, with a deadline.
import { ClientEvent, MatrixEventEvent, RoomEvent } from "matrix-js-sdk";
import { Refusal } from "./refusal.mjs";

// Not everything emits an event (another device's signature, say): ask now and then as well.
const EVERY_MS = 500;
const CHANGES = [
  ClientEvent.Sync,
  ClientEvent.Room,
  RoomEvent.Timeline,
  RoomEvent.MyMembership,
  MatrixEventEvent.Decrypted,
];

/** Call `changed` whenever something a reader could see may have changed. Returns an undo. */
export function onChange(client, changed) {
  for (const name of CHANGES) client.on(name, changed);
  return () => CHANGES.forEach((name) => client.off(name, changed));
}

/** The first value other than null that `condition` yields; refuses with `reason` at the deadline. */
export async function until(client, condition, { reason, timeout }) {
  const deadline = performance.now() + timeout * 1000;
  for (;;) {
    // Listen before asking, so that nothing that comes meanwhile is missed.
    let undo;
    let timer;
    const change = new Promise((resolve) => {
      undo = onChange(client, resolve);
      timer = setTimeout(resolve, Math.min(EVERY_MS, Math.max(0, deadline - performance.now())));
    });
    try {
      const value = await condition();
      if (value !== null) return value;
      if (performance.now() >= deadline) throw new Refusal(reason, `not within ${timeout} s`);
      await change;
    } finally {
      clearTimeout(timer);
      undo();
    }
  }
}
