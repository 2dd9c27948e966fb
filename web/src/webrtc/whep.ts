import { type MediaResource, negotiate, Refused } from "./http";

/** Plays a room by WHEP; `onStream` is called once with the stream that tracks are added to. */
export async function watch(endpoint: URL, token: string, onStream: (stream: MediaStream) => void): Promise<MediaResource> {
  const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  try {
    const stream = new MediaStream();
    pc.ontrack = ({ track }) => {
      stream.addTrack(track);
    };
    takeDescriptors(pc.addTransceiver("video", { direction: "recvonly" }));
    pc.addTransceiver("audio", { direction: "recvonly" });
    const resource = await negotiate(pc, endpoint, token, askForStereo);
    onStream(stream);
    return resource;
  } catch (error) {
    pc.close();
    throw error;
  }
}

/** Waits for a room that is not live yet (409, 503), as long as `wanted` says so. */
export async function watchWhenLive(
  endpoint: URL,
  token: string,
  onStream: (stream: MediaStream) => void,
  onWait: (why: string) => void,
  wanted: () => boolean,
): Promise<MediaResource | null> {
  while (wanted()) {
    try {
      return await watch(endpoint, token, onStream);
    } catch (error) {
      if (!(error instanceof Refused) || (error.status !== 409 && error.status !== 503)) throw error;
      onWait(error.detail);
      await new Promise((resolve) => setTimeout(resolve, (error.retryAfter ?? 2) * 1000));
    }
  }
  return null;
}

// Chromium plays Opus in mono unless the offer says it takes stereo (RFC 7587 section 6.1).
function askForStereo(sdp: string): string {
  return sdp.replace(/(a=fmtp:\d+ minptime=10;useinbandfec=1)(?!;stereo)/g, "$1;stereo=1");
}

/** An RTP header extension as the WebRTC extensions draft negotiates it. */
interface HeaderExtension {
  readonly uri: string;
  direction: string;
}

interface ExtensionChoice {
  getHeaderExtensionsToNegotiate?(): HeaderExtension[];
  setHeaderExtensionsToNegotiate?(extensions: HeaderExtension[]): void;
}

const DESCRIPTORS = /dependency-descriptor|abs-capture-time/;

// Chromium takes the dependency descriptor only when told; with it, layers can be left out of SVC without a guess.
function takeDescriptors(transceiver: RTCRtpTransceiver): void {
  const choice = transceiver as unknown as ExtensionChoice;
  const all = choice.getHeaderExtensionsToNegotiate?.() ?? [];
  const chosen = all.map((one) => (DESCRIPTORS.test(one.uri) ? { ...one, direction: "sendrecv" } : one));
  choice.setHeaderExtensionsToNegotiate?.(chosen);
}
