// Encrypted attachments by the browser's own cryptography, which shares no code with the bridge.
// Spec: "Sending encrypted attachments" (AES-256-CTR, SHA-256 of the ciphertext).
import { Refusal } from "./refusal.mjs";

const AES = { name: "AES-CTR", length: 256 };
// The lower half of the counter block counts; the upper half is random.
const COUNTER_BITS = 64;

/** The bytes of an encrypted attachment, once its ciphertext is what its sender hashed. */
export async function download(client, file) {
  const url = client.mxcUrlToHttp(file.url, undefined, undefined, undefined, false, true, true);
  const answer = await fetch(url, {
    headers: { Authorization: `Bearer ${client.getAccessToken()}` },
  });
  if (!answer.ok) throw new Refusal("no-such-media", `HTTP ${answer.status}`);
  const ciphertext = await answer.arrayBuffer();
  if ((await sha256(ciphertext)).toString("base64").replace(/=+$/, "") !== file.hashes.sha256)
    throw new Refusal("attachment-changed", "another ciphertext");
  const key = await crypto.subtle.importKey("jwk", file.key, AES, false, ["decrypt"]);
  const counter = Buffer.from(file.iv, "base64");
  return Buffer.from(
    await crypto.subtle.decrypt({ ...AES, counter, length: COUNTER_BITS }, key, ciphertext),
  );
}

/** Put bytes into the media store, encrypted; gives the `file` of a message. */
export async function upload(client, bytes) {
  const key = await crypto.subtle.generateKey(AES, true, ["encrypt", "decrypt"]);
  const counter = new Uint8Array(16);
  crypto.getRandomValues(counter.subarray(0, 8));
  const ciphertext = await crypto.subtle.encrypt(
    { ...AES, counter, length: COUNTER_BITS },
    key,
    bytes,
  );
  const { content_uri: url } = await client.uploadContent(new Blob([ciphertext]), {
    type: "application/octet-stream",
    includeFilename: false,
  });
  const unpadded = (value) => Buffer.from(value).toString("base64").replace(/=+$/, "");
  return {
    v: "v2",
    url,
    key: await crypto.subtle.exportKey("jwk", key),
    iv: unpadded(counter),
    hashes: { sha256: unpadded(await sha256(ciphertext)) },
  };
}

/** SHA-256 as a buffer. */
export async function sha256(bytes) {
  return Buffer.from(await crypto.subtle.digest("SHA-256", bytes));
}
