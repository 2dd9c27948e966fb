"""A GStreamer webrtcbin peer over WHIP or WHEP; run by the system's Python, which has GStreamer's bindings.

Usage: gstreamer_peer.py publish|watch URL TOKEN CERTIFICATE_PEM. The watcher prints `decoded WIDTHxHEIGHT COUNT` lines.
webrtcbin makes an RSA certificate by default, which the server does not take; it is replaced by the one given, and kept
where that is "-".
GStreamer 1.22 then computes the fingerprint over certificate and key together, so the offer gets the right one here.
"""

import hashlib
import re
import ssl
import sys
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

PUBLISH = """
webrtcbin name=peer bundle-policy=max-bundle
videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1
 ! vp8enc deadline=1 keyframe-max-dist=30
 ! rtpvp8pay pt=96 picture-id-mode=15-bit ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer.
audiotestsrc is-live=true freq=550 ! audioconvert ! audioresample ! opusenc
 ! rtpopuspay pt=97 ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! peer.
"""
WATCH = "webrtcbin name=peer bundle-policy=max-bundle"


def fingerprint(pem):
    der = ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----END CERTIFICATE-----") + 25])
    return ":".join(f"{b:02X}" for b in hashlib.sha256(der).digest())


class Peer:
    def __init__(self, mode, url, token, pem):
        self.url, self.token, self.pem, self.decoded = url, token, pem, 0
        self.pipeline = Gst.Pipeline.new(None)
        self.pipeline.connect("deep-element-added", self.on_element)
        self.pipeline.add(Gst.parse_bin_from_description(PUBLISH if mode == "publish" else WATCH, False))
        self.peer = self.pipeline.get_by_name("peer")
        self.peer.connect("on-negotiation-needed", self.on_negotiation)
        self.peer.connect("pad-added", self.on_pad)
        if mode == "watch":
            caps = "application/x-rtp,media=video,encoding-name=VP8,clock-rate=90000,payload=96"
            recvonly = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
            self.peer.emit("add-transceiver", recvonly, Gst.Caps.from_string(caps))
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self.on_error)

    def on_element(self, _pipeline, _bin, element):
        if self.pem and element.get_factory() and element.get_factory().get_name() == "dtlssrtpdec":
            element.set_property("pem", self.pem)

    def on_error(self, _bus, message):
        print("error", message.parse_error(), flush=True)
        loop.quit()

    def on_negotiation(self, _peer):
        self.peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self.on_offer, None))

    def on_offer(self, promise, _data):
        # The reply owns the description: it has to stay alive as long as that is used.
        reply = promise.get_reply()
        offer = reply.get_value("offer")
        self.peer.emit("set-local-description", offer, None)
        text = offer.sdp.as_text()
        if self.pem:
            text = re.sub("a=fingerprint:.*", f"a=fingerprint:sha-256 {fingerprint(self.pem)}", text)
        request = urllib.request.Request(
            self.url,
            data=text.encode(),
            headers={"Content-Type": "application/sdp", "Authorization": "Bearer " + self.token},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            print("refused", error.code, error.read().decode(), flush=True)
            loop.quit()
            return
        _, sdp = GstSdp.SDPMessage.new()
        GstSdp.sdp_message_parse_buffer(body, sdp)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        self.peer.emit("set-remote-description", answer, Gst.Promise.new())
        print("negotiated", flush=True)

    def on_pad(self, _peer, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        decoder = Gst.parse_bin_from_description(
            "rtpvp8depay ! vp8dec ! videoconvert ! fakesink name=sink sync=false", True
        )
        sink = decoder.get_by_name("sink")
        sink.set_property("signal-handoffs", True)
        sink.connect("handoff", self.on_picture)
        # In the bin that holds webrtcbin: pads link only within one parent.
        self.peer.get_parent().add(decoder)
        decoder.sync_state_with_parent()
        if pad.link(decoder.get_static_pad("sink")) != Gst.PadLinkReturn.OK:
            print("not linked", pad.get_current_caps().to_string(), flush=True)
            loop.quit()

    def on_picture(self, _sink, _buffer, pad):
        self.decoded += 1
        structure = pad.get_current_caps().get_structure(0)
        print(f"decoded {structure.get_value('width')}x{structure.get_value('height')} {self.decoded}", flush=True)


Gst.init(None)
loop = GLib.MainLoop()
mode, url, token, certificate = sys.argv[1:5]
pem = ""
if certificate != "-":
    with open(certificate) as file:
        pem = file.read()
peer = Peer(mode, url, token, pem)
peer.pipeline.set_state(Gst.State.PLAYING)
GLib.timeout_add_seconds(60, loop.quit)
loop.run()
peer.pipeline.set_state(Gst.State.NULL)
