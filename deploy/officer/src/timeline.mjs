// A room's messages as a list of articles: what was written, by whom, and what speaks against it.
import { arrange, h } from "./dom.mjs";
import { sanitised } from "./sanitise.mjs";

const POLL = /^(?:org\.matrix\.msc3381|m)\.poll\.(start|response|end)$/;

export class Timeline {
  #known = new Map(); // event id -> {as: JSON, node}
  #actions;

  /** actions: {reply(message), vote(message, answerId)}. */
  constructor(actions) {
    this.#actions = actions;
    this.list = h("ol", { role: "log", "aria-live": "polite", class: "timeline", tabindex: "0" });
  }

  /** Show messages, oldest first; nodes of unchanged messages stay as they are. */
  show(messages, { say, me, label }) {
    this.list.setAttribute("aria-label", label);
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 80;
    const context = { say, me, polls: pollAnswers(messages, me), actions: this.#actions };
    const shown = messages.filter(({ type }) => !["response", "end"].includes(pollPart(type)));
    const nodes = shown.map((message) => this.#node(message, context));
    const grown = nodes.length !== this.list.children.length;
    arrange(this.list, nodes);
    if (atEnd || grown) this.list.scrollTop = this.list.scrollHeight;
  }

  #node(message, context) {
    const as = JSON.stringify([message, context.polls.get(message.event_id), context.say("send")]);
    const known = this.#known.get(message.event_id);
    if (known?.as === as) return known.node;
    const node = article(message, context);
    this.#known.set(message.event_id, { as, node });
    return node;
  }
}

function article(message, { say, me, polls, actions }) {
  const warning = warningOf(message, say);
  const time = new Date(message.ts);
  const head = h(
    "header",
    {},
    h("bdi", { class: "sender" }, message.sender),
    h("time", { datetime: time.toISOString(), dir: "auto" }, moment(time)),
    message.edited ? h("span", { class: "edited" }, say("edited")) : null,
    h(
      "span",
      { class: "shield", role: "img", "aria-label": warning ?? say("encrypted") },
      warning ? "⚠" : "🔒",
    ),
  );
  const reply = message.pending
    ? h("p", { class: "state" }, say(message.failed ? "notSent" : "sending"))
    : h(
        "button",
        { type: "button", class: "reply", onclick: () => actions.reply(message) },
        say("reply"),
      );
  return h(
    "li",
    { class: message.sender === me ? "mine" : "theirs", "data-event-id": message.event_id },
    head,
    warning ? h("p", { class: "warning", dir: "auto" }, warning) : null,
    h("div", { class: "body" }, bodyOf(message, say)),
    poll(message, polls.get(message.event_id), say, actions),
    reply,
  );
}

function moment(time) {
  const today = time.toDateString() === new Date().toDateString();
  return time.toLocaleString(document.documentElement.lang, {
    dateStyle: today ? undefined : "medium",
    timeStyle: "short",
    // Without AM and PM, whose place beside the digits a right-to-left line would turn round.
    hourCycle: "h23",
  });
}

function warningOf(message, say) {
  if (message.redacted || message.failure) return null;
  if (!message.encrypted) return message.pending ? null : say("unencrypted");
  return message.shield === "none" ? null : say("warning", { reason: message.shield_reason });
}

function bodyOf(message, say) {
  if (message.redacted) return h("p", { class: "state" }, say("removed"));
  if (message.failure === "UNSIGNED_SENDER_DEVICE")
    return h("p", { class: "state" }, say("unsignedSender"));
  if (message.failure)
    return h("p", { class: "state" }, say("unreadable", { reason: message.failure }));
  const { format, formatted_body: html } = message.content;
  if (format === "org.matrix.custom.html" && typeof html === "string") return sanitised(html);
  const text = pollContent(message)?.question?.["org.matrix.msc1767.text"] ?? message.body;
  return h("p", { class: "plain", dir: "auto" }, String(text));
}

function pollPart(type) {
  return type.match(POLL)?.[1];
}

function pollContent(message) {
  return pollPart(message.type) === "start"
    ? message.content["org.matrix.msc3381.poll.start"]
    : null;
}

// Poll start id -> {mine: the answer I gave, closed}; only what was readable counts.
function pollAnswers(messages, me) {
  const polls = new Map();
  for (const message of messages) {
    const part = pollPart(message.type);
    const id = message.content["m.relates_to"]?.event_id;
    if (part === "response" && message.sender === me)
      polls.set(id, { ...polls.get(id), mine: message.content[message.type]?.answers?.[0] });
    if (part === "end") polls.set(id, { ...polls.get(id), closed: true });
  }
  return polls;
}

function poll(message, state, say, actions) {
  const answers = pollContent(message)?.answers;
  if (!Array.isArray(answers)) return null;
  const text = (answer) => String(answer["org.matrix.msc1767.text"] ?? answer.id);
  const chosen = answers.find((answer) => answer.id === state?.mine);
  const buttons = answers.map((answer) =>
    h(
      "button",
      {
        type: "button",
        disabled: Boolean(state?.closed),
        "aria-pressed": String(answer === chosen),
        onclick: () => actions.vote(message, answer.id),
      },
      h("bdi", {}, text(answer)),
    ),
  );
  const given = chosen
    ? h("p", { class: "state", dir: "auto" }, say("answered", { answer: text(chosen) }))
    : null;
  return h("div", { class: "poll", role: "group" }, buttons, given);
}
