"""Webhooks sent: signed, retried, kept until they have arrived, and to no address they may not go to.

`roomtone.clients.webhooks.posting`, which speaks HTTP, is not imported here: a server without targets need not load it.
"""

from roomtone.clients.webhooks.sending import WebhookDelivery
from roomtone.clients.webhooks.values import Attempt, Outcome, Poster, SendRules

__all__ = ["Attempt", "Outcome", "Poster", "SendRules", "WebhookDelivery"]
