"""What becomes of a request of a peer (RFC 3261 sections 8.2, 12.2.2, 14.2): refused by the book, or handed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent.events import Invited, Reoffered, Requested
from roomtone.protocols.sip.agent.invited import IncomingInvite
from roomtone.protocols.sip.agent.leg import Leg
from roomtone.protocols.sip.agent.session import TooShort
from roomtone.protocols.sip.dialog import Dialog, DialogState, contact_block, dialog_of_request
from roomtone.protocols.sip.headers.dialogs import parse_replaces
from roomtone.protocols.sip.message.check import check_message
from roomtone.protocols.sip.transaction.answers import Answers

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.agent import UserAgent
    from roomtone.protocols.sip.agent.hooks import Guard
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction import ServerTransaction

_RETRY = b"Retry-After: 5\r\n"
_CHALLENGED = frozenset({"MESSAGE", "PUBLISH", "REGISTER", "SUBSCRIBE"})
"""What is challenged without a transaction; that of an INVITE takes the ACK of its 401."""
_NEED_DIALOG = frozenset({"BYE", "UPDATE", "PRACK", "INFO"})


def challenge(agent: UserAgent, guard: Guard, request: Request, flow: Flow) -> bool:
    """Refuse who does not say who it is, and remember nothing of that (8.2.7): strangers take up no transaction.

    A request that is repeated is challenged anew, and either challenge may be answered.
    """
    headers, layer = request.headers, agent.layer
    if request.method not in _CHALLENGED or request.to_tag is not None:
        return False
    if "authorization" in headers or "proxy-authorization" in headers:  # which the guard is to see once
        return False
    if layer.overload.cause is not None or request.method not in agent.settings.methods:
        return False
    refusal = guard.check(request, flow)
    if refusal is None:
        return False
    check_message(request)
    back = layer.answer_flow(request, flow)
    answers = Answers(request)
    answers.tag = layer.tokens.stable(f"{request.call_id} {headers.text('cseq')}").encode()
    layer.send(back, answers.write(*refusal))
    return True


def receive_request(agent: UserAgent, transaction: ServerTransaction, request: Request, now: int) -> None:
    """Take a request that is neither ACK nor CANCEL."""
    method = request.method
    if method not in agent.settings.methods:
        agent.answer(transaction, 405, now, agent.allow_block)
        return
    to_tag = request.to_tag
    if to_tag is None:
        _receive_outside(agent, transaction, request, now)
        return
    dialog = agent.dialogs.get((request.call_id, to_tag, request.from_tag or ""))
    if dialog is None:
        if method == "NOTIFY" and agent.subscriptions.receive_first_notify(transaction, request, now):
            return
        agent.counters.out_of_dialog += 1
        agent.answer(transaction, 481, now)
    elif not dialog.takes(request):
        agent.counters.out_of_order += 1
        agent.answer(transaction, 500, now)
    elif not _lacks_extensions(agent, transaction, request, now):
        dialog.flow = transaction.flow
        _receive_inside(agent, dialog, transaction, request, now)


def receive_ack(agent: UserAgent, ack: Request, now: int) -> None:
    """Take the ACK of a 2xx."""
    dialog = agent.dialogs.get((ack.call_id, ack.to_tag or "", ack.from_tag or ""))
    leg = None if dialog is None else dialog.leg
    incoming = None if leg is None else leg.incoming
    if incoming is None or incoming.cseq != ack.cseq.number:
        agent.counters.stray_acks += 1
    else:
        incoming.on_ack(ack, now)


def _lacks_extensions(agent: UserAgent, transaction: ServerTransaction, request: Request, now: int) -> bool:
    """Refuse what requires more than there is (8.2.2.3)."""
    if "require" not in request.headers:
        return False
    missing = request.options("require") - agent.settings.extensions
    if not missing:
        return False
    agent.answer(transaction, 420, now, f"Unsupported: {', '.join(sorted(missing))}\r\n".encode())
    return True


def _receive_outside(agent: UserAgent, transaction: ServerTransaction, request: Request, now: int) -> None:
    if agent.guard is not None:
        refusal = agent.guard.check(request, transaction.flow)
        if refusal is not None:
            agent.answer(transaction, refusal[0], now, refusal[1])
            return
    if _lacks_extensions(agent, transaction, request, now):
        return
    method = request.method
    if method == "INVITE":
        _receive_invite(agent, transaction, request, now)
    elif method in _NEED_DIALOG:
        agent.counters.out_of_dialog += 1
        agent.answer(transaction, 481, now)
    elif method == "PUBLISH" and agent.settings.published_packages:
        agent.published.receive(transaction, request, now)
    elif method == "SUBSCRIBE" and agent.subscriptions.refuses(transaction, request, now):
        pass
    else:
        agent.tell(Requested(None, transaction, request))


def _receive_invite(agent: UserAgent, transaction: ServerTransaction, request: Request, now: int) -> None:
    merge_key = (request.call_id, request.from_tag or "")
    merged = agent.merging.get(merge_key)
    if merged is not None and merged.dialog.remote_cseq == request.cseq.number:
        agent.counters.merged += 1
        agent.answer(transaction, 482, now)
        return
    if agent.legs >= agent.limits.legs:
        agent.counters.refused += 1
        agent.answer(transaction, 503, now, _RETRY)
        return
    found = _replaced(agent, request) if "replaces" in request.headers else None
    if isinstance(found, int):
        agent.answer(transaction, found, now)
        return
    tag = agent.layer.tokens.next()
    flow = transaction.flow
    dialog = dialog_of_request(request, tag, flow)
    contact = contact_block(flow.transport, flow.local_host, flow.local_port, secure=dialog.secure)
    leg = Leg(agent, dialog, contact, is_caller=False)
    session = leg.offer_session(request)
    if isinstance(session, TooShort):
        agent.answer(transaction, 422, now, b"Min-SE: %d\r\n" % session.min_s)
        return
    dialog.state = DialogState.EARLY
    incoming = IncomingInvite(leg, transaction, request, is_initial=True)
    incoming.session, incoming.session_block = session
    leg.incoming = incoming
    leg.replaces = found
    leg.remote_offer = incoming.has_offer
    leg.merge_key = merge_key
    transaction.owner = incoming
    transaction.answers.tag = tag.encode()
    agent.dialogs[dialog.key] = dialog
    agent.merging[merge_key] = leg
    incoming.wait_until_expiry(request, now)
    agent.tell(Invited(leg, request, found))


def _replaced(agent: UserAgent, request: Request) -> Leg | int:
    """Find the leg that an INVITE replaces (RFC 3891 section 3), or the status that refuses it."""
    headers = request.headers
    if headers.count("replaces") != 1:
        return 400
    replaces = parse_replaces(headers.text("replaces") or "")
    dialog = agent.dialogs.get((replaces.call_id, replaces.to_tag, replaces.from_tag))
    if dialog is None and replaces.from_tag == "0":  # a peer of RFC 2543 has no tag
        dialog = agent.dialogs.get((replaces.call_id, replaces.to_tag, ""))
    leg: Leg | None = None if dialog is None else dialog.leg
    if dialog is None or leg is None:
        return 481
    if leg.is_over:
        return 603
    if dialog.state is DialogState.EARLY:
        return leg if leg.is_caller else 481
    return 486 if replaces.early_only else leg


def _receive_inside(
    agent: UserAgent, dialog: Dialog, transaction: ServerTransaction, request: Request, now: int
) -> None:
    leg: Leg | None = dialog.leg
    match request.method:
        case "NOTIFY":
            agent.subscriptions.receive_notify(dialog, transaction, request, now)
        case "SUBSCRIBE":
            agent.subscriptions.receive_subscribe(dialog, transaction, request, now)
        case "INVITE" | "BYE" | "UPDATE" | "PRACK" | "INFO" if leg is None or (leg.is_over and not leg.is_ending):
            agent.answer(transaction, 481, now)
        case "BYE" if leg is not None:
            leg.on_bye(transaction, request, now)
        case "INVITE" if leg is not None:
            _receive_reinvite(agent, leg, transaction, request, now)
        case "UPDATE" if leg is not None:
            _receive_update(agent, leg, transaction, request, now)
        case "PRACK" if leg is not None:
            if leg.incoming is None:
                agent.answer(transaction, 481, now)
            else:
                transaction.owner = leg
                leg.incoming.on_prack(transaction, request, now)
        case _:
            agent.tell(Requested(leg, transaction, request))


def _retry_soon(agent: UserAgent) -> bytes:
    return b"Retry-After: %d\r\n" % agent.random_below(11)


def _receive_reinvite(agent: UserAgent, leg: Leg, transaction: ServerTransaction, request: Request, now: int) -> None:
    if leg.is_ending:
        agent.answer(transaction, 481, now)
        return
    before = leg.incoming
    if before is not None and not before.is_final:
        agent.answer(transaction, 500, now, _retry_soon(agent))
        return
    mine = leg.reoffer
    if (mine is not None and not mine.is_waiting) or leg.waits_for_ack or leg.local_offer:
        agent.counters.glares += 1
        agent.answer(transaction, 491, now)
        return
    session = leg.offer_session(request)
    if isinstance(session, TooShort):
        agent.answer(transaction, 422, now, b"Min-SE: %d\r\n" % session.min_s)
        return
    if before is not None:  # its ACK is lost, but the peer has its 2xx: it would not go on otherwise
        before.stop()
    leg.dialog.refresh_target(request)
    incoming = IncomingInvite(leg, transaction, request, is_initial=False)
    incoming.session, incoming.session_block = session
    leg.incoming = incoming
    leg.remote_offer = incoming.has_offer
    transaction.owner = incoming
    agent.tell(Reoffered(leg, transaction, request))


def _receive_update(agent: UserAgent, leg: Leg, transaction: ServerTransaction, request: Request, now: int) -> None:
    """Take an UPDATE (RFC 3311 section 5.2): a refresh of target or session, or an offer."""
    if leg.is_ending:
        agent.answer(transaction, 481, now)
        return
    if request.body and leg.local_offer:
        agent.counters.glares += 1
        agent.answer(transaction, 491, now)
        return
    if request.body and leg.remote_offer:
        agent.answer(transaction, 500, now, _retry_soon(agent))
        return
    session = leg.offer_session(request)
    if isinstance(session, TooShort):
        agent.answer(transaction, 422, now, b"Min-SE: %d\r\n" % session.min_s)
        return
    leg.dialog.refresh_target(request)
    transaction.owner = leg
    if request.body:
        leg.remote_offer = True
        agent.tell(Reoffered(leg, transaction, request))
    else:
        leg.on_respond(transaction, 200, b"", b"", now)
