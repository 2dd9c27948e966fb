"""Live streams: rooms packaged for an audience that reads playlists."""

from roomtone.control.live.access import Audience, LiveAccess, LiveShelf, LiveViewer, WatchGrant, WatchRules
from roomtone.control.live.choosing import CARRIED, Choice, choose
from roomtone.control.live.ingests import Ingests, IngestStream
from roomtone.control.live.ingress import (
    Ingress,
    IngressError,
    IngressInput,
    IngressRefusal,
    IngressStatus,
    TrackRule,
)
from roomtone.control.live.ingress_book import IngressBook, IngressTable, new_id, new_key
from roomtone.control.live.ingress_lives import IngressChange, Ingresses, IngressLife
from roomtone.control.live.inputs import InputRefusal, InputRefusedError, InputRequest, Inputs, LiveInput
from roomtone.control.live.ladders import PRESETS, RoomMaking, Rung, SoundCodec, TranscodeRules, rungs_of
from roomtone.control.live.listing import Listing, Listings, TermsWish
from roomtone.control.live.play_rights import PlayRights
from roomtone.control.live.playouts import Playout, Playouts
from roomtone.control.live.pressure import QueueKind, QueuePressure, SlowingMeans, SourcePressure, StreamPressure
from roomtone.control.live.publish_rights import AccountCheck, PublishHook, PublishRights
from roomtone.control.live.pull_urls import PullRefusal, PullRefusedError, PullWay
from roomtone.control.live.pulls import Fetchers, Pull, Pulls, PullState, PullTargets
from roomtone.control.live.registry import MemoryRegistry, NameKeeper, StreamRegistry
from roomtone.control.live.sealing import Sealing
from roomtone.control.live.slates import CARD, SlateLook, SlateProcesses, SlateRules, Slates
from roomtone.control.live.stream import LiveStream
from roomtone.control.live.stream_keys import NewStreamKey, StreamKeys, StreamKeyStore
from roomtone.control.live.streams import LiveStreams
from roomtone.control.live.subtitles import SubtitleLine
from roomtone.control.live.sync import Alignment, StreamSync
from roomtone.control.live.transcoding import (
    TrackMaking,
    TranscodeEvent,
    TranscodeEventKind,
    Transcoding,
    Transcodings,
    Worker,
    Workers,
    WorkerStartError,
)
from roomtone.control.live.values import (
    LiveEnd,
    LiveError,
    LiveEvent,
    LiveEventKind,
    LiveLimits,
    LivePicture,
    LiveRefusal,
    LiveSound,
    LiveState,
    LiveTerms,
    LiveTrack,
    StreamEncryption,
)

__all__ = [
    "CARD",
    "CARRIED",
    "PRESETS",
    "AccountCheck",
    "Alignment",
    "Audience",
    "Choice",
    "Fetchers",
    "IngestStream",
    "Ingests",
    "Ingress",
    "IngressBook",
    "IngressChange",
    "IngressError",
    "IngressInput",
    "IngressLife",
    "IngressRefusal",
    "IngressStatus",
    "IngressTable",
    "Ingresses",
    "InputRefusal",
    "InputRefusedError",
    "InputRequest",
    "Inputs",
    "Listing",
    "Listings",
    "LiveAccess",
    "LiveEnd",
    "LiveError",
    "LiveEvent",
    "LiveEventKind",
    "LiveInput",
    "LiveLimits",
    "LivePicture",
    "LiveRefusal",
    "LiveShelf",
    "LiveSound",
    "LiveState",
    "LiveStream",
    "LiveStreams",
    "LiveTerms",
    "LiveTrack",
    "LiveViewer",
    "MemoryRegistry",
    "NameKeeper",
    "NewStreamKey",
    "PlayRights",
    "Playout",
    "Playouts",
    "PublishHook",
    "PublishRights",
    "Pull",
    "PullRefusal",
    "PullRefusedError",
    "PullState",
    "PullTargets",
    "PullWay",
    "Pulls",
    "QueueKind",
    "QueuePressure",
    "RoomMaking",
    "Rung",
    "Sealing",
    "SlateLook",
    "SlateProcesses",
    "SlateRules",
    "Slates",
    "SlowingMeans",
    "SoundCodec",
    "SourcePressure",
    "StreamEncryption",
    "StreamKeyStore",
    "StreamKeys",
    "StreamPressure",
    "StreamRegistry",
    "StreamSync",
    "SubtitleLine",
    "TermsWish",
    "TrackMaking",
    "TrackRule",
    "TranscodeEvent",
    "TranscodeEventKind",
    "TranscodeRules",
    "Transcoding",
    "Transcodings",
    "WatchGrant",
    "WatchRules",
    "Worker",
    "WorkerStartError",
    "Workers",
    "choose",
    "new_id",
    "new_key",
    "rungs_of",
]
