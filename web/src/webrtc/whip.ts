import { type MediaResource, negotiate } from "./http";

/** What a publisher chooses. */
export interface PublishOptions {
  /** MIME subtype such as "VP8"; empty for the browser's own order. */
  readonly codec: string;
  readonly simulcast: boolean;
  /** Scalability mode (W3C webrtc-svc) of the one encoding without simulcast; empty for the browser's own. */
  readonly scalability: string;
  /** Highest video bitrate in bit/s. */
  readonly maxBitrate: number;
}

/** Codecs the browser can send, by their MIME subtype, without the repair formats. */
export function sendableCodecs(): string[] {
  const all = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  const names = all.map((codec) => codec.mimeType.replace("video/", ""));
  return [...new Set(names)].filter((name) => !/^(rtx|red|ulpfec|flexfec.*)$/i.test(name));
}

/** Publishes a stream to a room by WHIP. */
export async function publish(
  endpoint: URL,
  token: string,
  stream: MediaStream,
  options: PublishOptions,
): Promise<MediaResource> {
  const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  try {
    for (const track of stream.getTracks()) {
      const video = track.kind === "video";
      const transceiver = pc.addTransceiver(track, {
        direction: "sendonly",
        streams: [stream],
        ...(video ? { sendEncodings: encodings(options) } : {}),
      });
      if (video && options.codec !== "") preferCodec(transceiver, options.codec);
    }
    return await negotiate(pc, endpoint, token);
  } catch (error) {
    pc.close();
    throw error;
  }
}

/** Temporal layers only, full SVC, and K-SVC, whose spatial layers need each other at keyframes only. */
const SCALABILITY_MODES = ["L1T2", "L1T3", "L2T3_KEY", "L3T3", "L3T3_KEY"];

/** The scalability modes that this browser can send with a codec; none where it does not tell. */
export async function scalabilityModes(codec: string): Promise<string[]> {
  if (codec === "") return [];
  const can = async (scalabilityMode: string) => {
    const video = { contentType: `video/${codec}`, width: 640, height: 360, bitrate: 1_000_000, framerate: 30, scalabilityMode };
    const { supported } = await navigator.mediaCapabilities.encodingInfo({ type: "webrtc", video });
    return supported;
  };
  const known = await Promise.all(SCALABILITY_MODES.map((mode) => can(mode).catch(() => false)));
  return SCALABILITY_MODES.filter((_, i) => known[i]);
}

/** An encoding with the member that webrtc-svc adds. */
export type ScalableEncoding = RTCRtpEncodingParameters & { scalabilityMode?: string };

/** Three encodings, each half the size of the next, or one, which may be scalable. */
export function encodings(options: PublishOptions): ScalableEncoding[] {
  if (!options.simulcast) {
    const { maxBitrate, scalability } = options;
    return [scalability === "" ? { maxBitrate } : { maxBitrate, scalabilityMode: scalability }];
  }
  return [
    { rid: "q", scaleResolutionDownBy: 4, maxBitrate: Math.round(options.maxBitrate / 12) },
    { rid: "h", scaleResolutionDownBy: 2, maxBitrate: Math.round(options.maxBitrate / 3.5) },
    { rid: "f", scaleResolutionDownBy: 1, maxBitrate: options.maxBitrate },
  ];
}

function preferCodec(transceiver: RTCRtpTransceiver, name: string): void {
  const all = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  const is = (codec: RTCRtpCodec, wanted: string) => codec.mimeType.toLowerCase() === `video/${wanted.toLowerCase()}`;
  const chosen = all.filter((codec) => is(codec, name));
  if (chosen.length === 0) throw new Error(`this browser cannot send ${name}`);
  transceiver.setCodecPreferences([...chosen, ...all.filter((codec) => is(codec, "rtx"))]);
}
