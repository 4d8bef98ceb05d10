// A message and its key can come before its sender's devices are known, as on the first sync after
// joining a room. Strict mode then refuses the message, and the SDK never looks again. So look again
// when the sender's devices become known.
import { CryptoEvent, DecryptionFailureCode } from "matrix-js-sdk/lib/crypto-api/index.js";

const REFUSED = new Set([
  DecryptionFailureCode.UNKNOWN_SENDER_DEVICE,
  DecryptionFailureCode.UNSIGNED_SENDER_DEVICE,
]);

// The engine tells of new devices shortly before it has applied them to the room keys it holds;
// on a busy machine that is not so short.
const AGAIN_MS = [0, 1000, 5000, 20_000];

/** Keep trying the messages that were refused for their sender's device. Ends with the client. */
export function retryRefused(client) {
  client.on(CryptoEvent.DevicesUpdated, (users) => {
    for (const wait of AGAIN_MS) setTimeout(() => retry(client, new Set(users)), wait).unref?.();
  });
}

function retry(client, users) {
  const crypto = client.getCrypto();
  if (!crypto || !client.clientRunning) return;
  for (const room of client.getRooms())
    for (const event of room.getLiveTimeline().getEvents())
      if (users.has(event.getSender()) && REFUSED.has(event.decryptionFailureReason))
        event.attemptDecryption(crypto, { isRetry: true }).catch(() => {}); // it stays refused
}
