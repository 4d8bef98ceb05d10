// A signed-in officer: password login, Rust crypto, the device isolation mode, the first sync.
// Shared by the page and the headless officer; touches no DOM, no file and no terminal.
import { ClientEvent, SyncState, createClient } from "matrix-js-sdk";
import {
  AllDevicesIsolationMode,
  OnlySignedDevicesIsolationMode,
} from "matrix-js-sdk/lib/crypto-api/index.js";
import { Refusal } from "./refusal.mjs";
import { retryRefused } from "./retrying.mjs";

/** Sign in with a password. Resolves to {homeserver, user_id, device_id, access_token}. */
export async function signIn({ homeserver, user, password, device_name: deviceName }) {
  const answer = await createClient({ baseUrl: homeserver }).loginRequest({
    type: "m.login.password",
    identifier: { type: "m.id.user", user },
    password,
    initial_device_display_name: deviceName ?? "Rabta officer",
  });
  return {
    homeserver,
    user_id: answer.user_id,
    device_id: answer.device_id,
    access_token: answer.access_token,
  };
}

/**
 * Open crypto and sync for a signed-in device.
 *
 * mode "strict" shares keys with, and reads messages of, devices signed by their owner only
 * (MSC4153); mode "unsigned" is the careless client of tests. storePrefix names the IndexedDB
 * databases; without it keys live in memory. recoveryKeys is the holder that identity.mjs fills.
 */
export async function openSession(account, { mode = "strict", storePrefix, recoveryKeys }) {
  const client = createClient({
    baseUrl: account.homeserver,
    userId: account.user_id,
    deviceId: account.device_id,
    accessToken: account.access_token,
    cryptoCallbacks: recoveryKeys?.callbacks,
    timelineSupport: true,
  });
  await client.initRustCrypto(
    storePrefix ? { cryptoDatabasePrefix: storePrefix } : { useIndexedDB: false },
  );
  client
    .getCrypto()
    .setDeviceIsolationMode(
      mode === "strict" ? new OnlySignedDevicesIsolationMode() : new AllDevicesIsolationMode(false),
    );
  retryRefused(client);
  await firstSync(client);
  return client;
}

async function firstSync(client) {
  const synced = new Promise((resolve, reject) => {
    const seen = (state, _before, data) => {
      if (state === SyncState.Prepared || state === SyncState.Syncing) resolve();
      else if (state === SyncState.Error)
        reject(data?.error ?? new Refusal("sync-failed", "the first sync failed"));
      else return;
      client.off(ClientEvent.Sync, seen);
    };
    client.on(ClientEvent.Sync, seen);
  });
  await client.startClient({ initialSyncLimit: 50 });
  await synced;
}

/** Stop, and forget the session's keys, in memory and under storePrefix. */
export async function forget(client, storePrefix) {
  client.stopClient();
  await client.clearStores(storePrefix ? { cryptoDatabasePrefix: storePrefix } : undefined);
}

/** End the session on the server and forget it. */
export async function signOut(client, storePrefix) {
  try {
    await client.logout(true);
  } finally {
    await forget(client, storePrefix);
  }
}
