import { UA, WebSocketInterface } from "jssip";
import type { RTCSession } from "jssip/lib/RTCSession";
import type { OutgoingRTCSessionEvent, RTCSessionEvent } from "jssip/lib/UA";
import { sayError } from "../api";
import { readIceServers } from "../webrtc/iceServers";
import { type Change, EMPTY, isBusy, next, type PhoneState } from "./model";
import { sayRefusal } from "./refusal";
import { Ringer } from "./ringer";

/** What JsSIP's declarations leave untyped of its own constants. */
const BUSY = { status_code: 486, reason_phrase: "Busy Here" };
const DECLINED = { status_code: 603, reason_phrase: "Decline" };
const RFC2833 = "RFC2833" as never;
const REGISTER_FOR_S = 300;
const SOUND = { mediaConstraints: { audio: true, video: false }, rtcOfferConstraints: { offerToReceiveAudio: true } };
const PICTURES = { mediaConstraints: { audio: true, video: true } };
const TONE_MS = 120;
const AGAIN_MS = 4_000;

/** A response, or what holds one: JsSIP has both, and declares neither for all of its events. */
interface Said {
  readonly reason_phrase?: string | undefined;
  readonly status_code?: number | undefined;
  readonly status_line?: Said | undefined;
  readonly response?: Said | null | undefined;
  readonly cause?: string | undefined;
}

/** A phone in this window: an account, a line to the server, at most one call. React reads it as a store. */
export class Phone {
  private state: PhoneState = EMPTY;
  private agent: UA | null = null;
  private session: RTCSession | null = null;
  /** The call that waits while somebody else is asked. */
  private first: RTCSession | null = null;
  /** What the other side shows. */
  private shown: MediaStream | null = null;
  private declined = false;
  /** What the server said at the latest registration. */
  private iceServers: RTCIceServer[] = [];
  private readonly listeners = new Set<() => void>();
  private readonly sound = new Audio();
  private readonly ringer = new Ringer();

  constructor(readonly host: string, readonly secure: boolean) {
    this.sound.autoplay = true;
  }

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  readonly read = () => this.state;

  /** What there is to see: of the other side, and of this one. */
  readonly seen = (): { readonly there: MediaStream | null; readonly here: MediaStream | null } => {
    const own = this.session?.connection.getSenders().map((sender) => sender.track) ?? [];
    const camera = own.find((track) => track?.kind === "video") ?? null;
    return { there: this.shown, here: camera === null ? null : new MediaStream([camera]) };
  };

  /** Registers an account, and takes calls for it from then on. */
  signIn(username: string, password: string): void {
    this.signOut();
    const socket = new WebSocketInterface(`${this.secure ? "wss" : "ws"}://${this.host}/sip`);
    const domain = new URL(`http://${this.host}`).hostname;
    const agent = new UA({
      sockets: socket,
      uri: `sip:${username}@${domain}`,
      authorization_user: username,
      password,
      register_expires: REGISTER_FOR_S,
      session_timers: false,
      user_agent: "Roomtone phone page",
    });
    this.agent = agent;
    this.change({ kind: "signedIn", who: username });
    const ifCurrent = (change: Change) => {
      if (this.agent === agent) this.change(change);
    };
    agent.on("registered", ({ response }) => {
      if (this.agent === agent) this.iceServers = readIceServers(response.getHeaders("Link").join(", "));
      ifCurrent({ kind: "line", line: "registered" });
      if (this.agent === agent) this.comeBack();
    });
    agent.on("disconnected", () => {
      ifCurrent({ kind: "line", line: "lost" });
    });
    agent.on("registrationFailed", (event: Said) => {
      if (!event.response || this.agent !== agent) return; // the line was lost: that is said by itself
      if (isPassing(event.response)) {
        ifCurrent({ kind: "line", line: "busy" });
        window.setTimeout(() => {
          if (this.agent === agent) agent.register();
        }, AGAIN_MS);
        return;
      }
      ifCurrent({ kind: "line", line: "refused", problem: sayRefusal(event.response.status_code, wordsOf(event)) });
      // A refused account is not tried again and again: somebody has to type it anew.
      this.agent = null;
      agent.stop();
    });
    agent.on("newRTCSession", (event: RTCSessionEvent) => {
      if (this.agent === agent) this.onSession(event);
    });
    agent.start();
  }

  /** Ends the call there is, unregisters, and closes the line. */
  signOut(): void {
    const agent = this.agent;
    this.agent = null;
    this.first?.terminate();
    this.hangUp();
    agent?.stop();
    this.change({ kind: "line", line: "off" });
  }

  /** Calls a number or name of this server. */
  dial(number: string, pictures = false): void {
    if (this.agent === null || isBusy(this.state)) return;
    this.agent.call(number, this.wants(pictures));
  }

  answer(pictures = false): void {
    const { session } = this;
    if (session === null) return;
    this.change({ kind: "flags", id: session.id, flags: { pictures } });
    session.answer(this.wants(pictures));
  }

  /** Puts the call on hold and calls somebody else, to whom it may then be connected. */
  ask(number: string): void {
    const { agent, session, state } = this;
    if (agent === null || session === null || state.call?.stage !== "up" || this.first !== null) return;
    if (!state.call.held) session.hold();
    this.first = session;
    agent.call(number, this.wants(false));
  }

  /** Connects who waits with who was asked (RFC 5589 section 7); both lines end then. */
  connect(): void {
    const { first, session, state } = this;
    if (first === null || session === null || state.call?.stage !== "up") return;
    this.refer(first, session.remote_identity.uri.toString(), state.call.peer, session);
  }

  /** Declines, gives up or hangs up, whichever the call asks for. */
  hangUp(): void {
    const { session, state } = this;
    if (session === null || session.isEnded()) return;
    this.declined = state.call?.stage === "incoming";
    session.terminate(this.declined ? DECLINED : {});
  }

  hold(wanted: boolean): void {
    if (wanted) this.session?.hold();
    else this.session?.unhold();
  }

  mute(wanted: boolean): void {
    if (wanted) this.session?.mute({ audio: true });
    else this.session?.unmute({ audio: true });
  }

  /** Sends a key to the other side as a telephone event. */
  press(tone: string): void {
    if (this.state.call?.stage === "up") this.session?.sendDTMF(tone, { transportType: RFC2833, duration: TONE_MS });
  }

  /** Asks the server to connect the other side with somebody else (RFC 3515); it tells how that goes. */
  transfer(to: string): void {
    if (this.session !== null) this.refer(this.session, to, to, null);
  }

  private wants(pictures: boolean) {
    return { ...(pictures ? PICTURES : SOUND), pcConfig: { iceServers: this.iceServers } };
  }

  private refer(session: RTCSession, target: string, to: string, replaces: RTCSession | null): void {
    if (this.state.call === null) return;
    const { id } = this.state.call;
    const tell = (notice: NonNullable<PhoneState["call"]>["notice"]) => {
      this.change({ kind: "flags", id, flags: { notice } });
    };
    const failed = (said: Said) => {
      tell({ kind: "transferFailed", why: wordsOf(said) });
    };
    tell({ kind: "asked", to });
    session.refer(target, {
      ...(replaces === null ? {} : { replaces }),
      eventHandlers: {
        requestFailed: failed,
        failed,
        trying: () => {
          tell({ kind: "trying", to });
        },
        progress: () => {
          tell({ kind: "trying", to });
        },
        accepted: () => {
          tell({ kind: "transferred", to });
          for (const one of [session, replaces]) if (one !== null && !one.isEnded()) one.terminate();
        },
      },
    });
  }

  private onSession(event: RTCSessionEvent): void {
    const { session } = event;
    const incoming = !isOutgoing(event);
    const peer = session.remote_identity.display_name || session.remote_identity.uri.user || "";
    const at = Date.now();
    if (incoming && isBusy(this.state)) {
      session.terminate(BUSY);
      this.change({ kind: "turnedAway", id: session.id, peer, at });
      return;
    }
    this.session = session;
    this.shown = null;
    this.declined = false;
    const { id } = session;
    const pictures = incoming && /^m=video [1-9]/m.test(event.request.body);
    this.change({ kind: "begun", id, direction: incoming ? "in" : "out", peer, at, beside: this.first !== null, pictures });
    const flags = (changed: Extract<Change, { kind: "flags" }>["flags"]) => {
      this.change({ kind: "flags", id, flags: changed });
    };
    const stage = (reached: "ringing" | "up") => {
      this.change({ kind: "stage", id, stage: reached, at: Date.now() });
    };
    const end = ({ cause, message }: { cause: string; message: Said | null }) => {
      if (this.session === session) {
        this.session = this.first;
        this.first = null;
        if (this.session?.isOnHold().local === true) this.session.unhold();
      } else if (this.first === session) {
        this.first = null;
      }
      const why = message?.status_code === undefined ? cause : wordsOf(message);
      this.change({ kind: "ended", id, at: Date.now(), why, declined: this.declined });
    };
    session.on("progress", () => {
      if (!incoming) stage("ringing");
    });
    session.on("accepted", () => {
      stage("up");
    });
    session.on("ended", end as never);
    session.on("failed", end as never);
    session.on("hold", ({ originator }) => {
      flags((originator as string) === "local" ? { held: true } : { heldThere: true });
    });
    session.on("unhold", ({ originator }) => {
      flags((originator as string) === "local" ? { held: false } : { heldThere: false });
    });
    session.on("muted", () => {
      flags({ muted: true });
    });
    session.on("unmuted", () => {
      flags({ muted: false });
    });
    session.on("getusermediafailed", (error: unknown) => {
      flags({ notice: { kind: "noMicrophone", why: sayError(error) } });
    });
    // Of a call that comes in the connection is made when it is answered.
    if (incoming) {
      session.on("peerconnection", ({ peerconnection }) => {
        this.hear(peerconnection, id);
      });
    } else {
      this.hear(session.connection, id);
    }
  }

  /** After the line was lost: has the server go on by the new one, and looks for new ways for media. */
  private comeBack(): void {
    for (const session of [this.first, this.session]) {
      if (session?.isEstablished() !== true) continue;
      if (session.renegotiate({ rtcOfferConstraints: { iceRestart: true } })) {
        this.change({ kind: "flags", id: session.id, flags: { notice: { kind: "backAgain" } } });
      }
    }
  }

  private hear(connection: RTCPeerConnection, id: string): void {
    connection.addEventListener("track", ({ track, streams }) => {
      if (track.kind === "video") {
        this.shown = new MediaStream([track]);
        track.addEventListener("unmute", () => {
          this.change({ kind: "flags", id, flags: { pictures: true } });
        });
        return;
      }
      this.sound.srcObject = streams[0] ?? new MediaStream([track]);
      void this.sound.play().catch(() => undefined);
    });
  }

  private change(change: Change): void {
    this.state = next(this.state, change);
    const stage = this.state.call?.stage;
    this.ringer.play(stage === "incoming" ? "ring" : stage === "ringing" ? "ringback" : null);
    for (const listener of this.listeners) listener();
  }
}

/** Whether a refusal is about this moment, and not about the account: the server is busy, or restarting. */
const isPassing = ({ status_code: status = 0 }: Said) => status === 408 || status === 480 || (status >= 500 && status < 600);

const isOutgoing = (event: RTCSessionEvent): event is OutgoingRTCSessionEvent => (event.originator as string) === "local";

/** The status and words of a response, or what JsSIP says where there was none. */
function wordsOf(said: Said): string {
  const from = said.status_line ?? said.response ?? said;
  if (from.status_code === undefined) return said.cause ?? "";
  return `${String(from.status_code)} ${from.reason_phrase ?? ""}`.trim();
}
