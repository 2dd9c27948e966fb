"""Settings: models with complete defaults, loading, and the commented sample."""

from roomtone.config.load import ConfigError, load_settings
from roomtone.config.models import (
    DEV_KEY,
    DEV_SECRET,
    EngineSettings,
    HttpLimits,
    HttpSettings,
    IceServer,
    IceSettings,
    LimitSettings,
    LogFormat,
    LogLevel,
    LogSettings,
    MetricsSettings,
    PlainSettings,
    ServerSettings,
    Settings,
    WebRtcSettings,
)
from roomtone.config.rooms import ChatSettings, RoomSettings, SpeakerSettings
from roomtone.config.sample import sample, toml_value
from roomtone.config.types import Address, PortRange

__all__ = [
    "DEV_KEY",
    "DEV_SECRET",
    "Address",
    "ChatSettings",
    "ConfigError",
    "EngineSettings",
    "HttpLimits",
    "HttpSettings",
    "IceServer",
    "IceSettings",
    "LimitSettings",
    "LogFormat",
    "LogLevel",
    "LogSettings",
    "MetricsSettings",
    "PlainSettings",
    "PortRange",
    "RoomSettings",
    "ServerSettings",
    "Settings",
    "SpeakerSettings",
    "WebRtcSettings",
    "load_settings",
    "sample",
    "toml_value",
]
