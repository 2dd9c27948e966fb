"""What happens to ingresses, as LiveKit's webhooks tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToJson
from livekit.protocol import webhook

from roomtone.control.live import IngressInput
from roomtone.control.webhooks import Webhook
from roomtone.servers.livekit.ingress_infos import ingress_info
from roomtone.servers.livekit.webhooks import random_event_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.live import IngressChange, Ingresses
    from roomtone.control.webhooks import WebhookSender
    from roomtone.servers.livekit.context import LiveKitContext


def report_ingresses(
    context: LiveKitContext,
    sender: WebhookSender,
    ingresses: Ingresses,
    new_id: Callable[[], str] = random_event_id,
) -> None:
    """Tell from now on when ingresses begin to publish, and when they do no more."""

    def tell(change: IngressChange) -> None:
        if not (change.started or change.ended):
            return
        name, id_ = "ingress_started" if change.started else "ingress_ended", new_id()
        info = ingress_info(context, change.ingress, change.now)
        info.ClearField("stream_key")  # whoever reads webhooks need not be who may publish
        if change.ingress.input is IngressInput.URL:
            info.ClearField("url")  # in which passwords may be
        told = webhook.WebhookEvent(id=id_, event=name, created_at=int(change.now.updated_at), ingress_info=info)
        body = MessageToJson(told, indent=None).encode()
        sender.send(Webhook(id_, name, change.ingress.room, body, change.now.updated_at))

    ingresses.when_changed.append(tell)
