"""Webhooks: what other programs are told, and by whom; how it gets there is a client's matter."""

from roomtone.control.webhooks.ports import (
    DeadLetters,
    Webhook,
    WebhookError,
    WebhookRefusal,
    WebhookSender,
    WebhookStore,
)

__all__ = ["DeadLetters", "Webhook", "WebhookError", "WebhookRefusal", "WebhookSender", "WebhookStore"]
