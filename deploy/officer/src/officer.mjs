// The commands of the headless officer. Arguments and results are plain JSON values.
import { EventType, KnownMembership, SyncState } from "matrix-js-sdk";
import { download, sha256, upload } from "./attachments.mjs";
import { RecoveryKeys, createIdentity, deviceSigned, unlock } from "./identity.mjs";
import { roomHistory, roomMessages } from "./messages.mjs";
import { Refusal } from "./refusal.mjs";
import { openSession, signIn, signOut } from "./session.mjs";
import { until } from "./waiting.mjs";

const DEFAULT_TIMEOUT_S = 30;
const AGAIN_MS = 500;
const POLL_RESPONSE = "org.matrix.msc3381.poll.response";

export class Officer {
  static COMMANDS = new Set(
    "login status rooms members join leave create_room invite send send_event send_file open_file vote messages history wait_message wait_room logout close".split(
      " ",
    ),
  );

  #client = null;
  #mode = "strict";
  #recoveryKeys = new RecoveryKeys();

  get #signedIn() {
    if (!this.#client) throw new Refusal("not-signed-in", "log in first");
    return this.#client;
  }

  /**
   * {homeserver, user, password, mode?: "strict"|"unsigned", recovery_key?, create_identity?}
   * Answers with status(), and with recovery_key when an identity was created.
   */
  async login({ mode = "strict", recovery_key: key, create_identity: create = false, ...account }) {
    if (this.#client) throw new Refusal("signed-in-already", this.#client.getUserId());
    if (!["strict", "unsigned"].includes(mode)) throw new Refusal("unknown-mode", mode);
    if (mode === "strict" && !key && !create)
      throw new Refusal("identity-needed", "strict mode needs recovery_key or create_identity");
    const signedIn = await signIn(account);
    const client = await openSession(signedIn, { mode, recoveryKeys: this.#recoveryKeys });
    this.#client = client;
    this.#mode = mode;
    try {
      const made = create && (await createIdentity(client, this.#recoveryKeys, account.password));
      if (key) await unlock(client, this.#recoveryKeys, key);
      return { ...(await this.status()), ...(made ? { recovery_key: made } : {}) };
    } catch (error) {
      await this.logout();
      throw error;
    }
  }

  /** Who this is and whether other clients see the device as signed by its owner. */
  async status() {
    const client = this.#signedIn;
    return {
      user_id: client.getUserId(),
      device_id: client.getDeviceId(),
      mode: this.#mode,
      signed: await deviceSigned(client),
    };
  }

  /** Every room joined or invited to. */
  rooms() {
    const rooms = this.#signedIn.getRooms().map((room) => this.#describeRoom(room));
    return { rooms };
  }

  #describeRoom(room) {
    const me = room.getMember(this.#client.getUserId())?.events.member;
    return {
      room_id: room.roomId,
      name: room.name,
      membership: room.getMyMembership(),
      encrypted: room.hasEncryptionStateEvent(),
      inviter: me?.getContent().membership === KnownMembership.Invite ? me.getSender() : null,
    };
  }

  /** {room}: user id -> membership. */
  members({ room }) {
    const members = this.#room(room).currentState.getMembers();
    return { members: Object.fromEntries(members.map((m) => [m.userId, m.membership])) };
  }

  /** {room, timeout?}: join by id or alias and wait until the room has been synced. */
  async join({ room, timeout }) {
    const { roomId } = await this.#signedIn.joinRoom(room);
    return this.#joined(roomId, timeout);
  }

  #joined(roomId, timeout) {
    return this.#until("room-not-synced", timeout, () => {
      const room = this.#client.getRoom(roomId);
      const joined = room?.getMyMembership() === KnownMembership.Join;
      return joined && room.currentState.getStateEvents(EventType.RoomCreate, "")
        ? this.#describeRoom(room)
        : null;
    });
  }

  async leave({ room }) {
    await this.#signedIn.leave(room);
  }

  /** {name?, invite?, encrypted?: true, ...createRoom options of the client-server API}. */
  async create_room({ encrypted = true, timeout, ...options }) {
    const encryption = {
      type: EventType.RoomEncryption,
      state_key: "",
      content: { algorithm: "m.megolm.v1.aes-sha2" },
    };
    const { room_id: roomId } = await this.#signedIn.createRoom({
      preset: "private_chat",
      ...options,
      initial_state: [...(options.initial_state ?? []), ...(encrypted ? [encryption] : [])],
    });
    return this.#joined(roomId, timeout);
  }

  async invite({ room, user }) {
    await this.#signedIn.invite(room, user);
  }

  /** {room, body, reply_to?, formatted_body?}: a text message, encrypted where the room is. */
  send({ room, body, reply_to: replyTo, formatted_body: html }) {
    return this.send_event({
      room,
      type: "m.room.message",
      content: {
        msgtype: "m.text",
        body,
        ...(html ? { format: "org.matrix.custom.html", formatted_body: html } : {}),
        ...(replyTo ? { "m.relates_to": { "m.in_reply_to": { event_id: replyTo } } } : {}),
      },
    });
  }

  /**
   * {room, type, content, persist?}: any event, encrypted where the room is (reactions never are).
   * With `persist`, seconds, one that could not be sent is sent again, as the same event.
   */
  async send_event({ room, type, content, persist = 0 }) {
    const client = this.#signedIn;
    const joined = this.#room(room);
    const txn = client.makeTxnId();
    const deadline = performance.now() + persist * 1000;
    for (let again = null; ;) {
      try {
        const sent = again
          ? await client.resendEvent(again, joined)
          : await client.sendEvent(joined.roomId, type, content, txn);
        return { event_id: sent.event_id };
      } catch (error) {
        again = joined.getEventForTxnId(txn) ?? again;
        // Its own echo may have come before the answer did not.
        if (again?.getId()?.startsWith("$")) return { event_id: again.getId() };
        if (!again || performance.now() >= deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
  }

  /** {room, name, media_type, base64}: an encrypted attachment. */
  async send_file({ room, name, media_type: mimetype, base64 }) {
    const bytes = Buffer.from(base64, "base64");
    const file = await upload(this.#signedIn, bytes);
    return this.send_event({
      room,
      type: "m.room.message",
      content: {
        msgtype: "m.file",
        body: name,
        filename: name,
        info: { mimetype, size: bytes.length },
        file,
      },
    });
  }

  /** {room, event_id}: an attachment fetched and decrypted: its `name`, `size` and `sha256`. */
  async open_file({ room, event_id: eventId }) {
    const messages = await roomMessages(this.#signedIn, this.#room(room));
    const message = messages.find((candidate) => candidate.event_id === eventId);
    if (!message?.content.file) throw new Refusal("no-such-message", "no attachment");
    const bytes = await download(this.#signedIn, message.content.file);
    return {
      name: message.content.filename ?? message.body,
      size: bytes.length,
      sha256: (await sha256(bytes)).toString("hex"),
    };
  }

  /** {room, poll, answers}: answer the poll whose start event is `poll` with answer ids. */
  vote({ room, poll, answers }) {
    return this.send_event({
      room,
      type: POLL_RESPONSE,
      content: {
        "m.relates_to": { rel_type: "m.reference", event_id: poll },
        [POLL_RESPONSE]: { answers },
      },
    });
  }

  /** {room, limit?}: the newest messages, oldest first, edits applied. */
  async messages({ room, limit = 50 }) {
    const messages = await roomMessages(this.#signedIn, this.#room(room));
    return { messages: messages.slice(-limit) };
  }

  /**
   * {room, until?}: every message from the newest back to the event `until` or the beginning,
   * oldest first, edits as messages of their own, whatever the last syncs left out.
   */
  async history({ room, until: last }) {
    const client = this.#signedIn;
    // A person who opens a room while the client waits for the server has it try at once.
    if (client.getSyncState() !== SyncState.Syncing) client.retryImmediately();
    return { messages: await roomHistory(client, room, last) };
  }

  /**
   * {room, contains?, event_id?, sender?, after?, edited?, timeout?}: the first message that fits.
   * `contains` looks at the text after edits; `after` is an event id that must come before it;
   * `edited` true or false narrows. Messages that cannot be read fit only by event_id or sender.
   */
  wait_message({ room, timeout, ...wanted }) {
    return this.#until("no-such-message", timeout, async () => {
      const known = this.#client.getRoom(room);
      if (!known) return null;
      const messages = await roomMessages(this.#client, known);
      const from = wanted.after ? messages.findIndex((m) => m.event_id === wanted.after) + 1 : 0;
      if (wanted.after && from === 0) return null;
      return messages.slice(from).find((message) => fits(message, wanted)) ?? null;
    });
  }

  /** {membership?: "invite", name?, inviter?, room?, timeout?}: wait for a room that fits. */
  wait_room({ membership = "invite", name, inviter, room: roomId, timeout }) {
    return this.#until("no-such-room", timeout, () => {
      const fit = this.rooms().rooms.find(
        (room) =>
          room.membership === membership &&
          (name === undefined || room.name.includes(name)) &&
          (inviter === undefined || room.inviter === inviter) &&
          (roomId === undefined || room.room_id === roomId),
      );
      return fit ?? null;
    });
  }

  /** End the session on the server. */
  async logout() {
    const client = this.#signedIn;
    this.#client = null;
    await signOut(client);
  }

  /** Stop without telling the server: the device stays in the account's list. */
  close() {
    this.#client?.stopClient();
    this.#client = null;
  }

  #room(roomId) {
    const room = this.#signedIn.getRoom(roomId);
    if (!room) throw new Refusal("unknown-room", roomId);
    return room;
  }

  #until(reason, timeout = DEFAULT_TIMEOUT_S, condition) {
    return until(this.#signedIn, condition, { reason, timeout });
  }
}

function fits(message, { contains, event_id: eventId, sender, edited }) {
  return (
    (contains === undefined || message.body.includes(contains)) &&
    (eventId === undefined || message.event_id === eventId) &&
    (sender === undefined || message.sender === sender) &&
    (edited === undefined || message.edited === edited)
  );
}
