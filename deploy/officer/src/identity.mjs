// The officer's cryptographic identity: cross-signing keys in secret storage under a recovery key.
// Never resets an identity that exists: that is the account holder's decision, not a program's.
import { decodeRecoveryKey } from "matrix-js-sdk/lib/crypto-api/index.js";
import { Refusal } from "./refusal.mjs";
import { until } from "./waiting.mjs";

const OWN_KEYS_S = 15;

/** Holds the recovery key in memory while secret storage is read; forgets it on request. */
export class RecoveryKeys {
  #key = null;

  callbacks = {
    getSecretStorageKey: async ({ keys }) => (this.#key ? [Object.keys(keys)[0], this.#key] : null),
    cacheSecretStorageKey: (_keyId, _info, key) => this.hold(key),
  };

  hold(key) {
    this.#key = key;
  }

  forget() {
    this.#key = null;
  }
}

/** Whether the account has cross-signing keys on the server. */
export function identityExists(client) {
  return client.getCrypto().userHasCrossSigningKeys(client.getUserId(), true);
}

/** Whether this device is signed by its owner's self-signing key, as every other client sees it. */
export async function deviceSigned(client) {
  const status = await client
    .getCrypto()
    .getDeviceVerificationStatus(client.getUserId(), client.getDeviceId());
  return status?.signedByOwner ?? false;
}

/**
 * First sign-in of an account: make its cross-signing keys, secret storage and key backup.
 * Resolves to the recovery key; it is shown once and stored nowhere by this program.
 */
export async function createIdentity(client, recoveryKeys, password) {
  if (await identityExists(client))
    throw new Refusal("identity-exists", "the account has an identity: use its recovery key");
  const crypto = client.getCrypto();
  await crypto.bootstrapCrossSigning({
    authUploadDeviceSigningKeys: (upload) => uploadKeys(client, upload, password),
  });
  const generated = await crypto.createRecoveryKeyFromPassphrase();
  await crypto.bootstrapSecretStorage({
    createSecretStorageKey: async () => generated,
    setupNewKeyBackup: true,
  });
  // Secret storage has cached its new key in recoveryKeys: the stand-in device is sealed with it.
  if (await crypto.isDehydrationSupported())
    await crypto.startDehydration({ createNewKey: true, rehydrate: false });
  recoveryKeys.forget();
  await ownKeysKnown(client, "device-not-signed", () => deviceSigned(client));
  return generated.encodedPrivateKey;
}

// The first upload needs no password on current servers (MSC3967); older ones ask for it.
async function uploadKeys(client, upload, password) {
  try {
    await upload(null);
  } catch (error) {
    if (!error.data?.session) throw error;
    await upload({
      type: "m.login.password",
      identifier: { type: "m.id.user", user: client.getUserId() },
      password,
      session: error.data.session,
    });
  }
}

/** Sign this device with the identity that the recovery key unlocks; also opens the key backup. */
export async function unlock(client, recoveryKeys, recoveryKey) {
  if (!(await identityExists(client)))
    throw new Refusal("no-identity", "the account has no identity yet");
  const key = await checkedKey(client, recoveryKey);
  const crypto = client.getCrypto();
  recoveryKeys.hold(key);
  try {
    await ownKeysKnown(client, "no-identity", () => identityKnown(client));
    await crypto.bootstrapCrossSigning({});
    if (await crypto.checkKeyBackupAndEnable())
      await crypto.loadSessionBackupPrivateKeyFromSecretStorage();
    if (await crypto.isDehydrationSupported()) await crypto.startDehydration({ rehydrate: true });
  } finally {
    recoveryKeys.forget();
  }
  await ownKeysKnown(client, "device-not-signed", () => deviceSigned(client));
}

async function identityKnown(client) {
  return (await client.getCrypto().getCrossSigningStatus()).publicKeysOnDevice;
}

// What the engine knows of our own keys lags behind the server: ask it again until `known` holds.
function ownKeysKnown(client, reason, known) {
  const asked = async () => ((await identityExists(client)) && (await known())) || null;
  return until(client, asked, { reason, timeout: OWN_KEYS_S });
}

async function checkedKey(client, recoveryKey) {
  const wrong = new Refusal("recovery-key-wrong", "this is not the account's recovery key");
  let key;
  try {
    key = decodeRecoveryKey(recoveryKey);
  } catch {
    throw wrong; // a mistyped key: its parity or length is off
  }
  const stored = await client.secretStorage.getKey();
  if (!stored) throw new Refusal("no-secret-storage", "the account has no secret storage yet");
  if (!(await client.secretStorage.checkKey(key, stored[1]))) throw wrong;
  // Without this the engine would make a new identity where it finds none to read.
  if (!(await client.secretStorage.isStored("m.cross_signing.master")))
    throw new Refusal("identity-not-stored", "secret storage holds no identity");
  return key;
}
