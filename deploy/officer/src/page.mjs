// The officer's page: which screen is shown, in which language, for which account.
// config.json beside the page: {"homeservers": {SERVER NAME: CLIENT URL, ...}}; the first is offered first.
import { HttpApiEvent } from "matrix-js-sdk";
import { logger } from "matrix-js-sdk/lib/logger.js";
import { Desk } from "./desk.mjs";
import { h } from "./dom.mjs";
import { signDevice, signInForm } from "./entrance.mjs";
import { RecoveryKeys, deviceSigned } from "./identity.mjs";
import { forgetAccount, keepAccount, keptAccount, onlyTab, storePrefix } from "./kept.mjs";
import { forget, openSession, signIn, signOut } from "./session.mjs";
import { explain, speaker } from "./words.mjs";

logger.setLevel("warn", false);

const RIGHT_TO_LEFT = new Set(["ur"]);
const recoveryKeys = new RecoveryKeys();
const config = await (await fetch("config.json")).json();
let language = localStorage.getItem("rabta-language") ?? "en";
let client = null;
let desk = null;
let redraw = () => {};

const voice = () => {
  const say = speaker(language);
  return { say, explain: (error) => explain(say, language, error) };
};

// `draw` makes the screen's element anew when the language changes.
function screen(draw) {
  redraw = () => {
    document.documentElement.lang = language;
    document.documentElement.dir = RIGHT_TO_LEFT.has(language) ? "rtl" : "ltr";
    const other = language === "en" ? "ur" : "en";
    const change = h("button", {
      type: "button",
      class: "language",
      lang: other,
      onclick: () => speak(other),
    });
    change.textContent = voice().say("language");
    const banner = h("header", { class: "banner" }, h("strong", {}, "رابطہ Rabta"), change);
    document.body.replaceChildren(banner, draw(voice()));
    document.body.querySelector("[required]")?.focus();
  };
  redraw();
}

function speak(chosen) {
  language = chosen;
  localStorage.setItem("rabta-language", language);
  redraw();
}

const sentence = (key) => screen(({ say }) => h("p", { class: "state", role: "status" }, say(key)));

function entrance() {
  screen((words) => signInForm(words, config.homeservers, enter));
}

async function enter(form) {
  const account = await signIn({ ...form, device_name: "Rabta, the officer's page" });
  keepAccount(account);
  await open(account, form.password);
}

async function open(account, password) {
  sentence("starting");
  try {
    client = await openSession(account, { storePrefix: storePrefix(account), recoveryKeys });
    client.on(HttpApiEvent.SessionLoggedOut, ended);
    // A device that its owner has not signed never gets a desk: nobody would accept its words.
    if (!(await deviceSigned(client)))
      await signDevice(voice(), client, recoveryKeys, password, (element) => screen(() => element));
  } catch (error) {
    await (error.errcode === "M_UNKNOWN_TOKEN" ? ended() : failed(error));
    return;
  }
  screen((words) => {
    desk?.stop();
    desk = new Desk(client, words, { signOut: leave });
    return desk.element;
  });
}

function failed(error) {
  screen(({ say, explain }) =>
    h(
      "main",
      { class: "failed" },
      h("p", { role: "alert", class: "fault" }, explain(error)),
      h("button", { type: "button", onclick: () => location.reload() }, say("tryAgain")),
    ),
  );
}

async function leave() {
  client.off(HttpApiEvent.SessionLoggedOut, ended);
  await signOut(client, storePrefix(keptAccount())).catch(() => {}); // it may have ended already
  toEntrance();
}

// The homeserver has ended the session: what this browser kept of it is of no more use.
async function ended() {
  const account = keptAccount();
  if (client && account) await forget(client, storePrefix(account)).catch(() => {});
  toEntrance();
}

function toEntrance() {
  desk?.stop();
  desk = client = null;
  forgetAccount();
  history.replaceState(null, "", location.pathname);
  entrance();
}

if (await onlyTab()) {
  const account = keptAccount();
  if (account) await open(account);
  else entrance();
} else sentence("anotherTab");
