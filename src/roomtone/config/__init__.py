"""Settings: models with complete defaults, loading, and the commented sample."""

from roomtone.config.ingest import PullSettings, RtmpSettings, RtmpsSettings, RtpIngestSettings, SrtSettings
from roomtone.config.live import LiveSettings
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
from roomtone.config.people import (
    AccountRates,
    AccountSettings,
    DatabaseSettings,
    MailSecurity,
    MailSettings,
    RedisSettings,
)
from roomtone.config.rooms import ChatSettings, RoomSettings, SpeakerSettings
from roomtone.config.sample import sample, toml_value
from roomtone.config.types import Address, PortRange
from roomtone.config.weak import weakness
from roomtone.config.webhooks import WebhookSettings

__all__ = [
    "DEV_KEY",
    "DEV_SECRET",
    "AccountRates",
    "AccountSettings",
    "Address",
    "ChatSettings",
    "ConfigError",
    "DatabaseSettings",
    "EngineSettings",
    "HttpLimits",
    "HttpSettings",
    "IceServer",
    "IceSettings",
    "LimitSettings",
    "LiveSettings",
    "LogFormat",
    "LogLevel",
    "LogSettings",
    "MailSecurity",
    "MailSettings",
    "MetricsSettings",
    "PlainSettings",
    "PortRange",
    "PullSettings",
    "RedisSettings",
    "RoomSettings",
    "RtmpSettings",
    "RtmpsSettings",
    "RtpIngestSettings",
    "ServerSettings",
    "Settings",
    "SpeakerSettings",
    "SrtSettings",
    "WebRtcSettings",
    "WebhookSettings",
    "load_settings",
    "sample",
    "toml_value",
    "weakness",
]
