// The session that this browser keeps between visits: the account here, its keys in IndexedDB.
const NAME = "rabta-account";

/** The account of the last sign-in, or null. */
export function keptAccount() {
  return JSON.parse(localStorage.getItem(NAME) ?? "null");
}

export function keepAccount(account) {
  localStorage.setItem(NAME, JSON.stringify(account));
}

export function forgetAccount() {
  localStorage.removeItem(NAME);
}

/** The prefix of the account's IndexedDB databases: one per device, so none is ever mixed up. */
export function storePrefix(account) {
  return `rabta-${account.user_id}-${account.device_id}`;
}

/** Whether this tab is the only one: two would spoil each other's keys. Held until it closes. */
export function onlyTab() {
  return new Promise((resolve) => {
    navigator.locks.request("rabta-device", { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock && new Promise(() => {});
    });
  });
}
