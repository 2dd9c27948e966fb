import { ConnectionState, DisconnectReason, Room, RoomEvent } from "livekit-client";
import { sayError } from "../api";
import { text } from "../strings";
import { type Entry, entryOf } from "./access";
import { type Choices, OFF } from "./choices";
import { type ChatMessage, MAX_TEXT, shownTo, withHistory, withMessage } from "./messages";
import { inOrder } from "./order";
import { describe, type Person } from "./person";
import { isExpired, type RoomChat } from "./roomChat";

/** Where LiveKit's own applications chat too. */
const CHAT = "lk.chat";
const HAND = "hand";

export type Connected = "connecting" | "connected" | "reconnecting" | "ended";

/** What the page shows; a new value at each change. */
export interface Meeting {
  /** The room it is in: a moderator may move somebody to another one. */
  readonly name: string;
  readonly entry: Entry;
  readonly connected: Connected;
  readonly people: readonly Person[];
  readonly lastSpeaker: string | null;
  readonly messages: readonly ChatMessage[];
  readonly canHear: boolean;
  /** What is said and shown goes out live, or is recorded. */
  readonly onAir: boolean;
  /** The newest thing to tell, with a number so that the same words can be told again. */
  readonly notice: { readonly number: number; readonly words: string };
  readonly ended: string;
}

const EMPTY: Omit<Meeting, "name" | "entry"> = {
  connected: "connecting",
  people: [],
  lastSpeaker: null,
  messages: [],
  canHear: true,
  onAir: false,
  notice: { number: 0, words: "" },
  ended: "",
};

const CHANGES = [
  RoomEvent.ParticipantConnected,
  RoomEvent.ParticipantDisconnected,
  RoomEvent.ParticipantAttributesChanged,
  RoomEvent.ParticipantNameChanged,
  RoomEvent.TrackMuted,
  RoomEvent.TrackUnmuted,
  RoomEvent.TrackPublished,
  RoomEvent.TrackUnpublished,
  RoomEvent.TrackSubscribed,
  RoomEvent.TrackUnsubscribed,
  RoomEvent.LocalTrackPublished,
  RoomEvent.LocalTrackUnpublished,
  RoomEvent.ConnectionQualityChanged,
  RoomEvent.ActiveSpeakersChanged,
] as const;

const ENDS: Partial<Record<DisconnectReason, string>> = {
  [DisconnectReason.CLIENT_INITIATED]: text.ended.left,
  [DisconnectReason.PARTICIPANT_REMOVED]: text.ended.removed,
  [DisconnectReason.ROOM_DELETED]: text.ended.roomClosed,
  [DisconnectReason.ROOM_CLOSED]: text.ended.roomClosed,
  [DisconnectReason.DUPLICATE_IDENTITY]: text.ended.duplicate,
  [DisconnectReason.SERVER_SHUTDOWN]: text.ended.shutdown,
};

/** One stay in a room: LiveKit's client, and what the page needs of it as plain values. */
export class Stay {
  readonly room: Room;
  private meeting: Meeting;
  private listeners = new Set<() => void>();
  private refreshing = false;
  /** The newest token that the server gave, and whether who is there is told at this moment, as after a move. */
  private token: string;
  private arriving = false;

  constructor(
    private readonly choices: Choices,
    private readonly chat: RoomChat,
    name: string,
    entry: Entry,
  ) {
    this.meeting = { ...EMPTY, name, entry };
    this.token = entry.token;
    const device = (id: string) => (id === "" || id === OFF ? {} : { deviceId: id });
    this.room = new Room({
      adaptiveStream: true,
      dynacast: true,
      videoCaptureDefaults: device(choices.camera),
      audioCaptureDefaults: device(choices.microphone),
      ...(choices.speaker === "" ? {} : { audioOutput: { deviceId: choices.speaker } }),
    });
    this.listen();
  }

  /** For React's useSyncExternalStore. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  readonly current = (): Meeting => this.meeting;

  /** Joins; then publishes what was chosen. What does not open is told, and the rest goes on. */
  async join(onJoined: () => void): Promise<void> {
    await this.room.connect(location.origin.replace(/^http/, "ws"), this.token);
    this.room.engine.on("tokenRefreshed", this.renew);
    this.put({ connected: "connected", canHear: this.room.canPlaybackAudio, onAir: this.room.isRecording });
    this.refresh();
    onJoined();
    void this.readHistory();
    await Promise.all([
      this.choices.microphone === OFF ? null : this.setMicrophone(true),
      this.choices.camera === OFF ? null : this.setCamera(true),
    ]);
  }

  leave = (): Promise<void> => this.room.disconnect();

  setMicrophone = (on: boolean) => this.attempt(() => this.room.localParticipant.setMicrophoneEnabled(on));
  setCamera = (on: boolean) => this.attempt(() => this.room.localParticipant.setCameraEnabled(on));
  setScreen = (on: boolean) => this.attempt(() => this.room.localParticipant.setScreenShareEnabled(on, { audio: true }));
  setHand = (up: boolean) =>
    this.attempt(() => this.room.localParticipant.setAttributes({ [HAND]: up ? String(Date.now()) : "" }));
  startSound = () => this.attempt(() => this.room.startAudio());

  /** Says something by way of the API, which says when it is refused; a guest's token for that ends before the stay. */
  say = (words: string) =>
    this.attempt(async () => {
      const said = words.slice(0, MAX_TEXT);
      const me = this.room.localParticipant;
      try {
        this.hear(shownTo(me.identity, await this.chat.say(said)));
      } catch (error) {
        if (!isExpired(error)) throw error;
        const { id, timestamp } = await me.sendText(said, { topic: CHAT });
        this.hear({ id, sender: me.identity, from: me.identity, text: said, at: timestamp, mine: true, edited: false });
      }
    });
  edit = (id: string, words: string) => this.attempt(() => this.chat.edit(id, words.slice(0, MAX_TEXT)));
  remove = (id: string) => this.attempt(() => this.chat.remove(id));

  /** Tells something to everybody who looks or listens. */
  tell(words: string): void {
    this.put({ notice: { number: this.meeting.notice.number + 1, words } });
  }

  /** The server gives newer tokens, before the last one ends and for the room that somebody is moved to. */
  private readonly renew = (token: string): void => {
    this.token = token;
    this.chat.moveTo(this.meeting.name, token);
    this.put({ entry: entryOf(token) });
  };

  /** Goes on in the room that the client is in now, if that is another one. */
  private follow(name: string): void {
    if (name === "" || name === this.meeting.name) return;
    this.chat.moveTo(name, this.token);
    this.put({ name, messages: [], lastSpeaker: null, onAir: this.room.isRecording });
    // Who is there already has not just come.
    this.arriving = true;
    queueMicrotask(() => {
      this.arriving = false;
    });
    this.tell(text.room.moved(name));
    this.refresh();
    void this.readHistory();
  }

  private async attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.tell(text.room.failed(sayError(error)));
      return false;
    } finally {
      this.refresh();
    }
  }

  private listen(): void {
    const { room } = this;
    for (const event of CHANGES) room.on(event, this.refresh);
    room.on(RoomEvent.ConnectionStateChanged, (state) => {
      if (state === ConnectionState.Reconnecting || state === ConnectionState.SignalReconnecting) {
        this.put({ connected: "reconnecting" });
      }
    });
    room.on(RoomEvent.RecordingStatusChanged, (onAir) => {
      this.put({ onAir });
      this.tell(onAir ? text.room.onAirNow : text.room.offAir);
    });
    room.on(RoomEvent.Moved, (name) => {
      this.follow(name);
    });
    room.on(RoomEvent.Reconnected, () => {
      this.put({ connected: "connected" });
      if (room.name !== "" && room.name !== this.meeting.name) {
        this.follow(room.name); // it was told to join there anew
        return;
      }
      this.tell(text.room.back);
      void this.readHistory();
    });
    room.on(RoomEvent.Disconnected, (reason) => {
      this.put({ connected: "ended", ended: ENDS[reason ?? DisconnectReason.UNKNOWN_REASON] ?? text.ended.lost });
    });
    room.on(RoomEvent.ActiveSpeakersChanged, ([loudest]) => {
      if (loudest !== undefined && !loudest.isLocal) this.put({ lastSpeaker: loudest.identity });
    });
    room.on(RoomEvent.AudioPlaybackStatusChanged, () => {
      this.put({ canHear: room.canPlaybackAudio });
    });
    room.on(RoomEvent.ParticipantConnected, ({ name, identity }) => {
      if (!this.arriving) this.tell(text.room.joined(name ?? identity));
    });
    room.on(RoomEvent.ParticipantDisconnected, ({ name, identity }) => {
      this.tell(text.room.left(name ?? identity));
    });
    room.on(RoomEvent.ParticipantAttributesChanged, (changed, participant) => {
      if (!participant.isLocal && Number(changed[HAND] ?? "") > 0) {
        this.tell(text.room.raised(participant.name ?? participant.identity));
      }
    });
    room.registerTextStreamHandler(CHAT, (reader, { identity }) => {
      reader
        .readAll()
        .then((words) => {
          const { id, timestamp } = reader.info;
          const mine = identity === room.localParticipant.identity;
          const shown = words.slice(0, MAX_TEXT);
          this.hear({ id, sender: identity, from: this.nameOf(identity), text: shown, at: timestamp, mine, edited: false });
        })
        // Its sender left in the middle of it.
        .catch(() => undefined);
    });
  }

  private nameOf(identity: string): string {
    const name = this.room.remoteParticipants.get(identity)?.name;
    return name === undefined || name === "" ? identity : name;
  }

  private hear(message: ChatMessage): void {
    this.put({ messages: withMessage(this.meeting.messages, message) });
  }

  /** What was said before, or while the connection was lost. */
  private async readHistory(): Promise<void> {
    const { name } = this.meeting;
    try {
      const kept = await this.chat.history();
      if (name !== this.meeting.name) return;
      const me = this.room.localParticipant.identity;
      this.put({ messages: withHistory(this.meeting.messages, kept.map((one) => shownTo(me, one))) });
    } catch (error) {
      this.tell(text.chat.noHistory(sayError(error)));
    }
  }

  /** Describes everybody anew, once for all events of one turn. */
  private readonly refresh = (): void => {
    if (this.refreshing) return;
    this.refreshing = true;
    queueMicrotask(() => {
      this.refreshing = false;
      const everybody = [this.room.localParticipant, ...this.room.remoteParticipants.values()];
      this.put({ people: inOrder(everybody.map(describe)) });
    });
  };

  private put(changed: Partial<Meeting>): void {
    this.meeting = { ...this.meeting, ...changed };
    for (const listener of this.listeners) listener();
  }
}

