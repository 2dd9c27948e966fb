"""Logs, metrics and health of a running server."""

from roomtone.observe.audit import AuditEvent, AuditKind, AuditLog, AuditSink
from roomtone.observe.health import OK, Health, ServerInput, ServerState, Verdict, WrongTransition
from roomtone.observe.logs import REDACTED, configure_logs, get_logger, log_context, redact, redact_text
from roomtone.observe.loop_lag import LoopLag
from roomtone.observe.metrics import CONTENT_TYPE, Family, Metrics

__all__ = [
    "CONTENT_TYPE",
    "OK",
    "REDACTED",
    "AuditEvent",
    "AuditKind",
    "AuditLog",
    "AuditSink",
    "Family",
    "Health",
    "LoopLag",
    "Metrics",
    "ServerInput",
    "ServerState",
    "Verdict",
    "WrongTransition",
    "configure_logs",
    "get_logger",
    "log_context",
    "redact",
    "redact_text",
]
