// The officer's page: which screen is shown, in which language, for which account.
// config.json beside the page: {"homeservers": {SERVER NAME: CLIENT URL, ...}}; the first is offered first.
import { logger } from "matrix-js-sdk/lib/logger.js";
import { Desk } from "./desk.mjs";
import { h } from "./dom.mjs";
import { signDevice, signInForm } from "./entrance.mjs";
import { RecoveryKeys, deviceSigned } from "./identity.mjs";
import { forgetAccount, keepAccount, keptAccount, onlyTab, storePrefix } from "./kept.mjs";
import { openSession, signIn, signOut } from "./session.mjs";
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
  client = await openSession(account, { storePrefix: storePrefix(account), recoveryKeys });
  // A device that its owner has not signed is never given a desk: nobody would accept its words.
  if (!(await deviceSigned(client)))
    await signDevice(voice(), client, recoveryKeys, password, (element) => screen(() => element));
  screen((words) => {
    desk?.stop();
    desk = new Desk(client, words, { signOut: leave });
    return desk.element;
  });
}

async function leave() {
  desk?.stop();
  desk = null;
  const account = keptAccount();
  forgetAccount();
  await signOut(client, storePrefix(account)).catch(() => {}); // the token may have ended already
  entrance();
}

if (await onlyTab()) {
  const account = keptAccount();
  // A session that the homeserver has ended meanwhile leads to the entrance.
  if (account) await open(account).catch(() => (forgetAccount(), entrance()));
  else entrance();
} else sentence("anotherTab");
