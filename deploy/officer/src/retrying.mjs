// A message can come before its sender's devices are known; strict mode then takes the sender for
// unsigned, and the SDK never looks again. So look again when the sender's devices become known.
import { CryptoEvent, DecryptionFailureCode } from "matrix-js-sdk/lib/crypto-api/index.js";

// The engine tells of new devices shortly before it has applied them to the room keys it holds.
const APPLIED_MS = 1000;

/** Keep trying the messages that were refused for their sender's device. Ends with the client. */
export function retryUnsigned(client) {
  client.on(CryptoEvent.DevicesUpdated, (users) => {
    const again = () => retry(client, new Set(users));
    again();
    setTimeout(again, APPLIED_MS);
  });
}

function retry(client, users) {
  const crypto = client.getCrypto();
  if (!crypto || !client.clientRunning) return;
  for (const room of client.getRooms())
    for (const event of room.getLiveTimeline().getEvents())
      if (users.has(event.getSender()) && refused(event))
        event.attemptDecryption(crypto, { isRetry: true }).catch(() => {}); // it stays refused
}

function refused(event) {
  return event.decryptionFailureReason === DecryptionFailureCode.UNSIGNED_SENDER_DEVICE;
}
