"""mediasoup clients: Socket.IO signalling, and the same over HTTP."""

from roomtone.servers.socketio.context import SfuContext
from roomtone.servers.socketio.rest_app import add_rest, create_rest_app
from roomtone.servers.socketio.server import PATH, SocketServer
from roomtone.servers.socketio.sfu import Sfu

__all__ = ["PATH", "Sfu", "SfuContext", "SocketServer", "add_rest", "create_rest_app"]
