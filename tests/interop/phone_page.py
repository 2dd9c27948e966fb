"""The web app's phone page in Chromium, driven by what people see: it says a tone, and what it hears is measured."""

from __future__ import annotations

import re

from conftest import Server, until
from meeting_page import PATIENCE_MS, OpenPage
from playwright.sync_api import Page, expect

BROWSER_HZ = 440
# A microphone that hears one tone.
MICROPHONE = f"""
navigator.mediaDevices.getUserMedia = async () => {{
  const context = new AudioContext();
  const to = new MediaStreamAudioDestinationNode(context);
  const tone = new OscillatorNode(context, {{ frequency: {BROWSER_HZ} }});
  tone.connect(new GainNode(context, {{ gain: 0.3 }})).connect(to);
  tone.start();
  return to.stream;
}};
"""
# A camera that sees one colour: green.
CAMERA = """
const sound = navigator.mediaDevices.getUserMedia;
navigator.mediaDevices.getUserMedia = async wanted => {
  const stream = await sound.call(navigator.mediaDevices, wanted);
  if (!wanted.video) return stream;
  const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 120 });
  const context = canvas.getContext("2d");
  let at = 0;
  setInterval(() => {
    context.fillStyle = at++ % 2 ? "#00c800" : "#00ca00";
    context.fillRect(0, 0, 160, 120);
  }, 50);
  stream.addTrack(canvas.captureStream(20).getVideoTracks()[0]);
  return stream;
};
"""
# What is in the middle of the picture that comes, as red, green and blue.
SEES = """
() => {
  const video = document.querySelector("video[aria-label='What the other side shows']");
  if (!video || !video.videoWidth) return null;
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight), context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  return [...context.getImageData(video.videoWidth / 2, video.videoHeight / 2, 1, 1).data.slice(0, 3)];
}
"""
# The lines of this window, so that one can be cut.
LINES = """
window.lines = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    lines.push(this);
  }
};
"""
# No codec but one is offered, so that the server has to convert for a phone with another.
OPUS_ALONE = """
const connection = RTCPeerConnection.prototype, offer = connection.createOffer;
connection.createOffer = async function (...given) {
  const opus = RTCRtpReceiver.getCapabilities("audio").codecs.filter(one => /opus|telephone/.test(one.mimeType));
  for (const transceiver of this.getTransceivers()) transceiver.setCodecPreferences(opus);
  return offer.apply(this, given);
};
"""
# The strongest frequency in what comes, or 0 for silence; the ear is put on once a connection.
EAR = """
() => {
  const peer = peers.at(-1), track = peer?.getReceivers().find(one => one.track.kind === "audio")?.track;
  if (track === undefined) return null;
  if (window.ear?.track !== track) {
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    window.ear = { track, context, analyser };
  }
  const { context, analyser } = window.ear, bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const strongest = bins.reduce((best, level, at) => (level > bins[best] ? at : best), 0);
  return bins[strongest] < -70 ? 0 : (strongest * context.sampleRate) / analyser.fftSize;
}
"""
RECEIVED = """
async () => {
  const reports = [...(await peers.at(-1).getStats()).values()];
  return reports.find(one => one.type === "inbound-rtp" && one.kind === "audio")?.packetsReceived ?? 0;
}
"""


def hears(page: Page, hertz: float) -> None:
    """Wait until the strongest frequency of the newest connection's sound is this one."""
    until(lambda: abs((page.evaluate(EAR) or 0) - hertz) < 8, f"{hertz} Hz in the browser")


class PhonePage:
    """A phone in a browser."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.set_default_timeout(PATIENCE_MS)

    def switch_on(self, username: str, password: str) -> None:
        """Sign in; the line is not waited for."""
        self.page.get_by_label("User name of the phone").fill(username)
        self.page.get_by_label("Password of the phone").fill(password)
        self.press("Switch the phone on")

    def wait_line(self, line: str) -> None:
        self.page.locator(f"[data-line={line}]").wait_for()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def dial(self, number: str) -> None:
        self.page.get_by_label("Number or name").fill(number)
        self.press("Call")

    def transfer(self, number: str) -> None:
        self.page.get_by_label("Transfer the call to").fill(number)
        self.press("Transfer")

    def ask(self, number: str) -> None:
        """Call somebody beside the call there is."""
        self.page.get_by_label("Transfer the call to").fill(number)
        self.press("Ask first")

    def cut_line(self) -> None:
        """Lose the connection to the server."""
        self.page.evaluate("() => lines.at(-1).close()")

    def sees_green(self) -> None:
        """Wait until the picture that comes is green."""

        def is_green() -> bool:
            seen = self.page.evaluate(SEES)
            return seen is not None and seen[1] > 150 and max(seen[0], seen[2]) < 80

        until(is_green, "a green picture")

    def wait_call(self, stage: str) -> None:
        self.page.locator(f"[data-call={stage}]").wait_for()

    def says(self, text: str) -> None:
        expect(self.page.get_by_text(re.compile(text)).first).to_be_visible()

    def hears(self, hertz: float) -> None:
        """Wait until the strongest of what comes is this tone."""
        hears(self.page, hertz)

    def received(self) -> int:
        return int(self.page.evaluate(RECEIVED))


def phone_page(open_page: OpenPage, server: Server, username: str, *scripts: str, secure: bool = False) -> PhonePage:
    """Open the page, over TLS or not, and switch the phone on; its password is ``secret of USERNAME``."""
    page = PhonePage(open_page("/phone/", server, MICROPHONE, *scripts, secure=secure))
    page.switch_on(username, f"secret of {username}")
    page.wait_line("registered")
    return page
