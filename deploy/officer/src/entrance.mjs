// The way in: sign in, then have the device signed by its owner's identity.
import { field, form, h } from "./dom.mjs";
import { createIdentity, identityExists, unlock } from "./identity.mjs";

/** The sign-in form; calls `signIn({homeserver, user, password})`. */
export function signInForm({ say, explain }, homeservers, signIn) {
  const options = Object.entries(homeservers).map(([name, url]) =>
    h("option", { value: url }, name),
  );
  const text = { required: true, autocapitalize: "none", spellcheck: "false", dir: "ltr" };
  return form(
    signIn,
    explain,
    h("h1", {}, say("signIn")),
    field(say("homeserver"), h("select", { name: "homeserver", dir: "ltr" }, options)),
    field(say("user"), h("input", { name: "user", autocomplete: "username", ...text })),
    field(
      say("password"),
      h("input", { name: "password", type: "password", autocomplete: "current-password", ...text }),
    ),
    h("button", {}, say("signIn")),
  );
}

/** The form that gets the device signed; resolves when it is. `show` puts an element on screen. */
export async function signDevice({ say, explain }, client, recoveryKeys, password, show) {
  const known = await identityExists(client);
  return new Promise((resolve) => show(known ? unlockForm(resolve) : identityForm(resolve)));

  function unlockForm(done) {
    const input = h("input", {
      name: "key",
      required: true,
      autocomplete: "off",
      spellcheck: "false",
      dir: "ltr",
    });
    return form(
      async ({ key }) => {
        await unlock(client, recoveryKeys, key);
        done();
      },
      explain,
      h("h1", {}, say("unlock")),
      h("p", {}, say("unlockHint")),
      field(say("recoveryKey"), input),
      h("button", {}, say("unlock")),
    );
  }

  function identityForm(done) {
    const ask = password
      ? []
      : [
          field(
            say("password"),
            h("input", { name: "password", type: "password", required: true }),
          ),
        ];
    return form(
      async (values) => {
        const key = await createIdentity(client, recoveryKeys, password ?? values.password);
        show(keyShown(key, done));
      },
      explain,
      h("h1", {}, say("createIdentity")),
      h("p", {}, say("identityNew")),
      ...ask,
      h("button", {}, say("createIdentity")),
    );
  }

  function keyShown(key, done) {
    return form(
      async () => done(),
      explain,
      h("h1", {}, say("recoveryKey")),
      h("p", {}, say("keepRecoveryKey")),
      h("output", { class: "recovery-key", dir: "ltr" }, key),
      h("button", {}, say("recoveryKeyKept")),
    );
  }
}
