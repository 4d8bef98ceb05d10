// The officer's desk: rooms and invitations, one open room, a composer.
import { KnownMembership } from "matrix-js-sdk";
import { arrange, form, h } from "./dom.mjs";
import { roomMessages } from "./messages.mjs";
import { Timeline } from "./timeline.mjs";
import { onChange } from "./waiting.mjs";

const SUMMARY = 60;

export class Desk {
  #client;
  #voice; // {say, explain} of the chosen language
  #open = decodeURIComponent(location.hash.slice(1)); // room id, kept in the address for a reload
  #replyTo = null; // message
  #due = false;

  constructor(client, voice, { signOut }) {
    this.#client = client;
    this.#voice = voice;
    const { say } = voice;
    this.timeline = new Timeline({
      reply: (message) => this.#reply(message),
      vote: (message, answer) => this.#vote(message, answer),
    });
    this.rooms = h("ul", { class: "rooms" });
    this.title = h("h2", { dir: "auto", class: "title" }, say("chooseRoom"));
    this.quote = h("p", { class: "quote", hidden: true });
    this.fault = h("p", { role: "alert", class: "fault" });
    this.input = h("textarea", {
      name: "body",
      rows: "2",
      dir: "auto",
      required: true,
      "aria-label": say("message"),
    });
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.composer = form(
      ({ body }) => this.#send(body),
      voice.explain,
      this.quote,
      this.input,
      h("button", { class: "send" }, say("send")),
    );
    this.composer.classList.add("composer");
    this.composer.hidden = true;
    this.silent = h("p", { class: "state silent-room", hidden: true }, say("silentRoom"));
    const device = h("bdi", {}, client.getDeviceId());
    this.element = h(
      "main",
      { class: "desk" },
      h(
        "nav",
        { "aria-label": say("rooms") },
        h("p", { class: "me" }, h("bdi", {}, client.getUserId())),
        h("p", { class: "device" }, `${say("device")} (`, device, `): ${say("deviceSigned")}`),
        this.rooms,
        h("button", { type: "button", class: "sign-out", onclick: signOut }, say("signOut")),
      ),
      h(
        "section",
        { "aria-label": say("messages") },
        this.title,
        this.timeline.list,
        this.fault,
        this.silent,
        this.composer,
      ),
    );
    this.stop = onChange(client, () => this.#schedule());
    this.#schedule();
  }

  // Many events come with one sync: draw once for all of them.
  #schedule() {
    if (this.#due) return;
    this.#due = true;
    setTimeout(async () => {
      this.#due = false;
      this.#drawRooms();
      await this.#drawTimeline();
    }, 50);
  }

  #drawRooms() {
    const { say } = this.#voice;
    const rooms = this.#client
      .getVisibleRooms()
      .filter((room) =>
        [KnownMembership.Join, KnownMembership.Invite].includes(room.getMyMembership()),
      )
      .sort((one, other) => other.getLastActiveTimestamp() - one.getLastActiveTimestamp());
    const items = rooms.map((room) => this.#item(room));
    arrange(this.rooms, items.length ? items : [h("li", { class: "state" }, say("noRooms"))]);
  }

  #item(room) {
    const { say } = this.#voice;
    const invited = room.getMyMembership() === KnownMembership.Invite;
    const unread = room.getUnreadNotificationCount();
    const state = JSON.stringify([room.name, invited, unread, room.roomId === this.#open]);
    const before = [...this.rooms.children].find((item) => item.dataset.roomId === room.roomId);
    if (before?.dataset.state === state) return before;
    const name = h("bdi", { class: "name" }, room.name);
    const inviter = room.getMember(this.#client.getUserId())?.events.member?.getSender();
    const accept = () =>
      this.#try(async () => {
        await this.#client.joinRoom(room.roomId);
        this.#enter(room.roomId);
      });
    const content = invited
      ? [
          name,
          h("span", { class: "inviter", dir: "auto" }, say("invitedBy", { user: inviter })),
          h("button", { type: "button", class: "accept", onclick: accept }, say("accept")),
        ]
      : h(
          "button",
          {
            type: "button",
            class: "room",
            "aria-current": room.roomId === this.#open ? "true" : null,
            onclick: () => this.#enter(room.roomId),
          },
          name,
          unread ? h("span", { class: "unread" }, String(unread)) : null,
        );
    return h(
      "li",
      { "data-room-id": room.roomId, "data-state": state, class: invited ? "invite" : null },
      content,
    );
  }

  #enter(roomId) {
    this.#open = roomId;
    history.replaceState(null, "", `#${encodeURIComponent(roomId)}`);
    this.#reply(null);
    this.#mayWrite(true); // before it can have the focus
    this.input.focus();
    this.#schedule();
  }

  // In a room where the officer may not send, a sentence stands in the composer's place.
  #mayWrite(may) {
    this.composer.hidden = !may;
    this.silent.hidden = may;
    this.timeline.list.classList.toggle("silent", !may);
  }

  async #drawTimeline() {
    const room = this.#client.getRoom(this.#open);
    if (!room) return;
    // Until the room is synced nothing is known of who may write in it.
    const joined = room.getMyMembership() === KnownMembership.Join;
    this.#mayWrite(!joined || room.maySendMessage());
    this.title.textContent = room.name;
    const messages = await roomMessages(this.#client, room);
    if (room.roomId !== this.#open) return;
    const { say } = this.#voice;
    this.timeline.show(messages, { say, me: this.#client.getUserId(), label: say("messages") });
    const last = room.getLiveTimeline().getEvents().at(-1);
    if (last && !last.status && room.getUnreadNotificationCount())
      this.#client.sendReadReceipt(last).catch(() => {}); // only a count: tried again with the next message
  }

  #reply(message) {
    const { say } = this.#voice;
    this.#replyTo = message;
    this.quote.hidden = !message;
    if (!message) return;
    const text = message.body.split("\n")[0].slice(0, SUMMARY);
    const cancel = h("button", { type: "button", onclick: () => this.#reply(null) }, say("cancel"));
    this.quote.replaceChildren(h("span", { dir: "auto" }, say("replyingTo", { text })), cancel);
    this.input.focus();
  }

  // Enter sends, Shift+Enter begins a line, Escape gives up a reply.
  #key(event) {
    if (event.key === "Escape") this.#reply(null);
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.composer.requestSubmit();
  }

  async #send(body) {
    if (!body.trim()) return;
    const relation = this.#replyTo && { "m.in_reply_to": { event_id: this.#replyTo.event_id } };
    await this.#client.sendEvent(this.#open, "m.room.message", {
      msgtype: "m.text",
      body: body.trim(),
      ...(relation ? { "m.relates_to": relation } : {}),
    });
    this.input.value = "";
    this.#reply(null);
    setTimeout(() => this.input.focus());
  }

  #vote(message, answer) {
    const type = message.type.replace(/start$/, "response");
    return this.#try(() =>
      this.#client.sendEvent(this.#open, type, {
        "m.relates_to": { rel_type: "m.reference", event_id: message.event_id },
        [type]: { answers: [answer] },
      }),
    );
  }

  async #try(act) {
    this.fault.textContent = "";
    try {
      await act();
    } catch (error) {
      this.fault.textContent = this.#voice.explain(error);
    }
  }
}
