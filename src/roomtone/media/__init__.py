"""The typed façade over the media engine: commands, events, questions, statistics."""

from roomtone.media.core import CoreLink
from roomtone.media.engine import Engine, Report
from roomtone.media.errors import (
    EngineCommandError,
    EngineStartError,
    MailboxClosed,
    MailboxOverflow,
    MediaError,
    QueueFull,
)
from roomtone.media.fake import FakeLink
from roomtone.media.feed import Feed
from roomtone.media.ingest import IngestListener
from roomtone.media.link import Link
from roomtone.media.mailbox import Mailbox
from roomtone.media.mixer import Mixer
from roomtone.media.objects import (
    AudioLevelObserver,
    Consumer,
    DataChannel,
    PipedProducer,
    PipeTransport,
    PlainTransport,
    Producer,
    Router,
    Transport,
    WebRtcTransport,
)
from roomtone.media.packager import Packager, alignment_of, pressure_of, set_encryption, shift_sound, show_text
from roomtone.media.shared_port import SharedTcpPort
from roomtone.media.socket_link import SocketLink
from roomtone.media.together import Together
from roomtone.media.transcoder import TrackTranscoder, Transcoder

__all__ = [
    "AudioLevelObserver",
    "Consumer",
    "CoreLink",
    "DataChannel",
    "Engine",
    "EngineCommandError",
    "EngineStartError",
    "FakeLink",
    "Feed",
    "IngestListener",
    "Link",
    "Mailbox",
    "MailboxClosed",
    "MailboxOverflow",
    "MediaError",
    "Mixer",
    "Packager",
    "PipeTransport",
    "PipedProducer",
    "PlainTransport",
    "Producer",
    "QueueFull",
    "Report",
    "Router",
    "SharedTcpPort",
    "SocketLink",
    "Together",
    "TrackTranscoder",
    "Transcoder",
    "Transport",
    "WebRtcTransport",
    "alignment_of",
    "pressure_of",
    "set_encryption",
    "shift_sound",
    "show_text",
]
