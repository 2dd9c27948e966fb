"""LiveKit's protocol: clients made for LiveKit meet here in rooms like all others."""

from roomtone.servers.livekit.context import SUPPORT, LiveKitContext, Trouble
from roomtone.servers.livekit.endpoints import livekit_routes
from roomtone.servers.livekit.ingress_webhooks import report_ingresses
from roomtone.servers.livekit.twirp import twirp_routes
from roomtone.servers.livekit.webhooks import report_rooms

__all__ = ["SUPPORT", "LiveKitContext", "Trouble", "livekit_routes", "report_ingresses", "report_rooms", "twirp_routes"]
