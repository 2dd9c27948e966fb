"""Webhooks sent: signed, retried, kept until they have arrived, and to no address they may not go to."""

from roomtone.clients.webhooks.addresses import AddressRefusedError, is_public
from roomtone.clients.webhooks.posting import Attempt, Poster, WebhookPoster
from roomtone.clients.webhooks.sending import WebhookDelivery
from roomtone.clients.webhooks.values import Outcome, SendRules

__all__ = [
    "AddressRefusedError",
    "Attempt",
    "Outcome",
    "Poster",
    "SendRules",
    "WebhookDelivery",
    "WebhookPoster",
    "is_public",
]
