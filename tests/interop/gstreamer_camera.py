"""GStreamer's RTSP server with a test card and a tone; run by the system's Python, which has GStreamer's bindings.

Usage: gstreamer_camera.py PORT Digest|Basic USER PASSWORD aac|opus LIGHT DARK TONE_HZ, grey levels from 0 to 255. It
says `ready` once it listens. It sends in the connection and in datagrams, as it is asked.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

SIZE = "video/x-raw,width={},height=240,framerate=25/1"
HALF = "videotestsrc is-live=true pattern=solid-color foreground-color={} ! " + SIZE.format(160)
SOUNDS = {
    "aac": "voaacenc ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "opus": "opusenc ! rtpopuspay name=pay1 pt=97",
}


def grey(level):
    return int.from_bytes(bytes([255, level, level, level]), "big")


def auth_of(scheme, user, word):
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if scheme == "Digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, word, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, word), token)
    return auth


def main():
    port, scheme, user, word, sound, light, dark, tone = sys.argv[1:]
    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( compositor name=mix sink_1::xpos=160 ! {SIZE.format(320)} ! videoconvert"
        " ! openh264enc gop-size=25 ! h264parse ! rtph264pay name=pay0 pt=96"
        f" {HALF.format(grey(int(light)))} ! mix.sink_0 {HALF.format(grey(int(dark)))} ! mix.sink_1"
        f" audiotestsrc is-live=true freq={tone} ! audio/x-raw,rate=48000,channels=2 ! audioconvert ! {SOUNDS[sound]} )"
    )
    factory.set_shared(True)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("viewer", permission, True)
    factory.set_permissions(permissions)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    server.set_auth(auth_of(scheme, user, word))
    server.get_mount_points().add_factory("/live", factory)
    if server.attach(None) == 0:
        sys.exit("cannot listen")
    print("ready", flush=True)
    GLib.MainLoop().run()


main()
