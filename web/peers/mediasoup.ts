/** A client made of mediasoup-client, signalled by Socket.IO or over HTTP; tests drive it through `window`. */
import { Device, type types } from "mediasoup-client";
import { io, type Socket } from "socket.io-client";
import { testCard } from "../src/webrtc/testcard";

type Json = Record<string, unknown>;

/** Asks the server for something, by whatever carries it. */
interface Signalling {
  ask(event: string, content: Json): Promise<Json>;
}

interface Producer {
  producerId: string;
  kind: types.MediaKind;
  peerId: string;
}

class SocketSignalling implements Signalling {
  readonly heard: { event: string; content: Json }[] = [];

  private constructor(readonly socket: Socket) {
    socket.onAny((event: string, content: Json) => {
      this.heard.push({ event, content });
    });
  }

  static async open(url: string, token: string): Promise<SocketSignalling> {
    const socket = io(url, { auth: { token }, reconnection: false });
    const signalling = new SocketSignalling(socket);
    await new Promise<void>((resolve, reject) => {
      socket.on("connect", resolve);
      socket.on("connect_error", reject);
    });
    return signalling;
  }

  async ask(event: string, content: Json): Promise<Json> {
    const answer = (await this.socket.timeout(30_000).emitWithAck(event, content)) as Json;
    if (answer["error"] !== undefined) throw new Error(`${event}: ${JSON.stringify(answer["error"])}`);
    return answer;
  }
}

/** The same requests over HTTP; `event` becomes a path. */
class HttpSignalling implements Signalling {
  constructor(
    readonly url: string,
    readonly token: string,
    readonly peerId: string,
  ) {}

  async ask(event: string, content: Json): Promise<Json> {
    const { roomId, transportId, producerId } = content as { roomId: string; transportId: string; producerId: string };
    const paths: Record<string, string> = {
      "join-room": "peers",
      "create-transport": "transports",
      "connect-transport": `transports/${transportId}/connect`,
      produce: "producers",
      "pause-producer": `producers/${producerId}/pause`,
      "resume-producer": `producers/${producerId}/resume`,
      "close-producer": `producers/${producerId}/close`,
      consume: "consumers",
    };
    const answer = await fetch(`${this.url}/rooms/${roomId}/${paths[event] ?? event}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ ...content, peerId: this.peerId }),
    });
    if (!answer.ok) throw new Error(`${event}: ${String(answer.status)} ${await answer.text()}`);
    return (await answer.json()) as Json;
  }
}

interface PublishOptions {
  width: number;
  height: number;
  frameRate: number;
  codec?: string;
  encodings?: RTCRtpEncodingParameters[];
  audio?: boolean;
}

export class Peer {
  readonly device = new Device();
  readonly producers = new Map<string, types.Producer>();
  readonly consumers = new Map<string, types.Consumer>();
  readonly messages: (string | number[])[] = [];
  joined: Json = {};
  private sending: types.Transport | undefined;
  private receiving: types.Transport | undefined;

  constructor(
    readonly signalling: Signalling,
    public room: string,
  ) {}

  ask(event: string, content: Json = {}): Promise<Json> {
    return this.signalling.ask(event, { roomId: this.room, ...content });
  }

  async join(content: Json = {}): Promise<Json> {
    this.joined = await this.ask("join-room", content);
    const router = (this.joined["mediasoup"] ?? this.joined) as { rtpCapabilities: types.RtpCapabilities };
    await this.device.load({ routerRtpCapabilities: router.rtpCapabilities });
    return this.joined;
  }

  /** Joins the room that the server's `moved` names; what was open in the other one has ended there. */
  async follow(): Promise<Json> {
    const heard = this.signalling instanceof SocketSignalling ? this.signalling.heard : [];
    const told = heard.findLast(({ event }) => event === "moved")?.content;
    if (told === undefined) throw new Error("nobody moved it");
    this.sending?.close();
    this.receiving?.close();
    this.sending = this.receiving = undefined;
    this.room = told["toRoomId"] as string;
    return (this.joined = await this.ask("join-room", { peerId: told["peerId"], token: told["token"] }));
  }

  async sendTransport(): Promise<types.Transport> {
    if (this.sending !== undefined) return this.sending;
    const created = await this.ask("create-transport", { direction: "send" });
    const transport = this.device.createSendTransport(created as unknown as types.TransportOptions);
    this.connectWhenAsked(transport);
    transport.on("produce", ({ kind, rtpParameters, appData }, done, failed) => {
      this.ask("produce", { transportId: transport.id, kind, rtpParameters, appData })
        .then(({ id }) => {
          done({ id: id as string });
        })
        .catch(failed);
    });
    transport.on("producedata", ({ sctpStreamParameters, label, protocol, appData }, done, failed) => {
      const { destinationIdentities } = appData;
      const content = { sctpStreamParameters, label, protocol, appData, destinationIdentities };
      this.ask("produce-data", { transportId: transport.id, ...content })
        .then(({ id }) => {
          done({ id: id as string });
        })
        .catch(failed);
    });
    return (this.sending = transport);
  }

  async receiveTransport(): Promise<types.Transport> {
    if (this.receiving !== undefined) return this.receiving;
    const created = await this.ask("create-transport", { direction: "recv" });
    const transport = this.device.createRecvTransport(created as unknown as types.TransportOptions);
    this.connectWhenAsked(transport);
    return (this.receiving = transport);
  }

  private connectWhenAsked(transport: types.Transport): void {
    transport.on("connect", ({ dtlsParameters }, done, failed) => {
      this.ask("connect-transport", { transportId: transport.id, dtlsParameters })
        .then(() => {
          done();
        })
        .catch(failed);
    });
  }

  async publish(options: PublishOptions): Promise<string[]> {
    const transport = await this.sendTransport();
    const stream = testCard(options.width, options.height, options.frameRate);
    const codec = this.device.sendRtpCapabilities.codecs?.find(
      (one) => one.mimeType.toLowerCase() === `video/${(options.codec ?? "VP8").toLowerCase()}`,
    );
    if (codec === undefined) throw new Error(`this browser does not send ${options.codec ?? "VP8"}`);
    const ids: string[] = [];
    for (const track of [...stream.getVideoTracks(), ...stream.getAudioTracks()]) {
      if (track.kind === "audio" && options.audio === false) continue;
      const video = track.kind === "video";
      const producer = await transport.produce({
        track,
        ...(video ? { codec } : {}),
        ...(video && options.encodings !== undefined ? { encodings: options.encodings } : {}),
        appData: { source: video ? "camera" : "microphone" },
      });
      this.producers.set(producer.id, producer);
      ids.push(producer.id);
    }
    return ids;
  }

  /** Consumes what there is of a peer, or of all; gives the consumers' ids. */
  async consumeAll(producers: Producer[], content: Json = {}): Promise<string[]> {
    const ids: string[] = [];
    for (const { producerId } of producers) ids.push(await this.consume(producerId, content));
    return ids;
  }

  async consume(producerId: string, content: Json = {}): Promise<string> {
    const transport = await this.receiveTransport();
    const rtpCapabilities = this.device.recvRtpCapabilities;
    const given = await this.ask("consume", { transportId: transport.id, producerId, rtpCapabilities, ...content });
    const consumer = await transport.consume(given as unknown as types.ConsumerOptions);
    this.consumers.set(consumer.id, consumer);
    const media = document.createElement(consumer.kind);
    media.srcObject = new MediaStream([consumer.track]);
    media.autoplay = true;
    document.body.append(media);
    if (given["paused"] === true) await this.ask("resume-consumer", { consumerId: consumer.id });
    return consumer.id;
  }

  /** What a consumer gets, as W3C statistics of its inbound stream name it; with the codec's type. */
  async received(consumerId: string): Promise<Json> {
    const consumer = this.consumers.get(consumerId);
    if (consumer === undefined) throw new Error(`no consumer ${consumerId}`);
    const reports = [...(await consumer.getStats()).values()] as Json[];
    const inbound = reports.find((report) => report["type"] === "inbound-rtp") ?? {};
    const codec = reports.find((report) => report["id"] === inbound["codecId"]);
    return { ...inbound, mimeType: codec?.["mimeType"] };
  }

  async produceData(label: string, options: types.DataProducerOptions = { ordered: true }): Promise<string> {
    const transport = await this.sendTransport();
    const producer = await transport.produceData({ label, protocol: "test", ...options });
    if (producer.readyState !== "open") await new Promise((resolve) => producer.once("open", () => { resolve(null); }));
    this.sendMessage = (message) => {
      producer.send(typeof message === "string" ? message : new Uint8Array(message));
    };
    return producer.id;
  }

  sendMessage: (message: string | number[]) => void = () => {
    throw new Error("nothing is produced yet");
  };

  async consumeData(dataProducerId: string): Promise<string> {
    const transport = await this.receiveTransport();
    const given = await this.ask("consume-data", { transportId: transport.id, dataProducerId, paused: true });
    const consumer = await transport.consumeData(given as unknown as types.DataConsumerOptions);
    consumer.on("message", (message: unknown) => {
      this.messages.push(typeof message === "string" ? message : [...new Uint8Array(message as ArrayBuffer)]);
    });
    if (consumer.readyState !== "open") await new Promise((resolve) => consumer.once("open", () => { resolve(null); }));
    await this.ask("resume-consumer", { consumerId: consumer.id });
    return consumer.id;
  }

  async restartIce(): Promise<void> {
    const transport = await this.sendTransport();
    const { iceParameters } = await this.ask("restart-ice", { transportId: transport.id });
    await transport.restartIce({ iceParameters: iceParameters as types.IceParameters });
  }
}

async function bySocket(url: string, token: string, room: string): Promise<Peer> {
  return new Peer(await SocketSignalling.open(url, token), room);
}

function byHttp(url: string, token: string, room: string, peerId: string): Peer {
  return new Peer(new HttpSignalling(url, token, peerId), room);
}

Object.assign(window, { bySocket, byHttp });
