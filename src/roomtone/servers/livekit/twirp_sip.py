"""LiveKit's `SIP` service: trunks, dispatch rules, phones that rooms call."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from livekit.protocol import models, sip

from roomtone.control.calls import DispatchRule, PhoneError, PhoneRefusal, Trunk
from roomtone.protocols.livekit import TwirpCode, TwirpError
from roomtone.servers.livekit.sip_dialling import create_participant, transfer_participant
from roomtone.servers.livekit.sip_infos import (
    bad,
    dispatch_rule,
    inbound_info,
    inbound_trunk,
    outbound_info,
    outbound_trunk,
    rule_info,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from google.protobuf.message import Message

    from roomtone.control.calls import Calls, PhoneBook
    from roomtone.servers.livekit.context import LiveKitContext
    from roomtone.servers.livekit.twirp_access import Caller

_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
MAX_PAGE = 1_000
CODES = {
    PhoneRefusal.NO_SUCH_TRUNK: TwirpCode.NOT_FOUND,
    PhoneRefusal.NO_SUCH_RULE: TwirpCode.NOT_FOUND,
    PhoneRefusal.NO_SUCH_CALL: TwirpCode.NOT_FOUND,
    PhoneRefusal.TRUNK_EXISTS: TwirpCode.ALREADY_EXISTS,
    PhoneRefusal.RULE_EXISTS: TwirpCode.ALREADY_EXISTS,
}
"""What a refusal is to the caller; any other is an invalid argument."""


class SipService:
    """The methods; each takes who calls and the request, and gives the answer."""

    def __init__(self, context: LiveKitContext) -> None:
        self.context = context

    @property
    def book(self) -> PhoneBook:
        """What is known of phones; raise `TwirpError` where none are served."""
        if self.context.phone_book is None:
            raise _no_phones()
        return self.context.phone_book

    @property
    def calls(self) -> Calls:
        """All calls of phones; raise `TwirpError` where none are served."""
        if self.context.calls is None:
            raise _no_phones()
        return self.context.calls

    # --- trunks ---

    async def create_inbound(
        self, caller: Caller, request: sip.CreateSIPInboundTrunkRequest
    ) -> sip.SIPInboundTrunkInfo:
        """Make a trunk by which calls come in."""
        caller.must_administer_sip()
        _must_be_new(request.trunk.sip_trunk_id)
        return _inbound(await self.book.trunks.create(inbound_trunk(_id("ST"), request.trunk)))

    async def create_outbound(
        self, caller: Caller, request: sip.CreateSIPOutboundTrunkRequest
    ) -> sip.SIPOutboundTrunkInfo:
        """Make a trunk by which calls go out."""
        caller.must_administer_sip()
        _must_be_new(request.trunk.sip_trunk_id)
        return _outbound(await self.book.trunks.create(outbound_trunk(_id("ST"), request.trunk)))

    async def update_inbound(
        self, caller: Caller, request: sip.UpdateSIPInboundTrunkRequest
    ) -> sip.SIPInboundTrunkInfo:
        """Change such a trunk, all of it or what is said."""
        caller.must_administer_sip()
        trunk = self._trunk(request.sip_trunk_id)
        info = request.replace if request.HasField("replace") else _inbound(trunk)
        if request.HasField("update"):
            _update(info, request.update)
        changed = inbound_trunk(trunk.name, info, trunk.created_at)
        return _inbound(await self.book.trunks.change(changed))

    async def update_outbound(
        self, caller: Caller, request: sip.UpdateSIPOutboundTrunkRequest
    ) -> sip.SIPOutboundTrunkInfo:
        """Change such a trunk, all of it or what is said."""
        caller.must_administer_sip()
        trunk = self._trunk(request.sip_trunk_id)
        info = request.replace if request.HasField("replace") else _outbound(trunk)
        if request.HasField("update"):
            _update(info, request.update)
        changed = outbound_trunk(trunk.name, info, trunk.created_at)
        return _outbound(await self.book.trunks.change(changed))

    async def get_inbound(
        self, caller: Caller, request: sip.GetSIPInboundTrunkRequest
    ) -> sip.GetSIPInboundTrunkResponse:
        """Describe a trunk."""
        caller.must_administer_sip()
        return sip.GetSIPInboundTrunkResponse(trunk=_inbound(self._trunk(request.sip_trunk_id)))

    async def get_outbound(
        self, caller: Caller, request: sip.GetSIPOutboundTrunkRequest
    ) -> sip.GetSIPOutboundTrunkResponse:
        """Describe a trunk."""
        caller.must_administer_sip()
        return sip.GetSIPOutboundTrunkResponse(trunk=_outbound(self._trunk(request.sip_trunk_id)))

    async def list_inbound(
        self, caller: Caller, request: sip.ListSIPInboundTrunkRequest
    ) -> sip.ListSIPInboundTrunkResponse:
        """List trunks by which calls come in."""
        caller.must_administer_sip()
        found = [info for trunk in self.book.trunks.list() if (info := inbound_info(trunk)) is not None]
        found = [info for info in found if _is_wanted(info.sip_trunk_id, info.numbers, request)]
        return sip.ListSIPInboundTrunkResponse(items=_page(found, "sip_trunk_id", request))

    async def list_outbound(
        self, caller: Caller, request: sip.ListSIPOutboundTrunkRequest
    ) -> sip.ListSIPOutboundTrunkResponse:
        """List trunks by which calls go out."""
        caller.must_administer_sip()
        found = [info for trunk in self.book.trunks.list() if (info := outbound_info(trunk)) is not None]
        found = [info for info in found if _is_wanted(info.sip_trunk_id, info.numbers, request)]
        return sip.ListSIPOutboundTrunkResponse(items=_page(found, "sip_trunk_id", request))

    async def delete_trunk(self, caller: Caller, request: sip.DeleteSIPTrunkRequest) -> sip.SIPTrunkInfo:
        """Delete a trunk; calls that go on are not ended."""
        caller.must_administer_sip()
        trunk = self._trunk(request.sip_trunk_id)
        info = inbound_info(trunk) or outbound_info(trunk)
        await self.book.trunks.delete(trunk.name)
        inbound = isinstance(info, sip.SIPInboundTrunkInfo)
        kind = sip.SIPTrunkInfo.TRUNK_INBOUND if inbound else sip.SIPTrunkInfo.TRUNK_OUTBOUND
        told = ("", "") if info is None else (info.name, info.metadata)
        return sip.SIPTrunkInfo(sip_trunk_id=trunk.name, kind=kind, name=told[0], metadata=told[1])

    def _trunk(self, name: str) -> Trunk:
        trunk = self.book.trunks.find(name)
        if trunk is None:
            raise PhoneError(PhoneRefusal.NO_SUCH_TRUNK, f"there is no trunk {name!r}")
        return trunk

    # --- dispatch rules ---

    async def create_rule(self, caller: Caller, request: sip.CreateSIPDispatchRuleRequest) -> sip.SIPDispatchRuleInfo:
        """Say which room calls lead to."""
        caller.must_administer_sip()
        info = request.dispatch_rule if request.HasField("dispatch_rule") else _of_request(request)
        _must_be_new(info.sip_dispatch_rule_id)
        return _rule(await self._make(dispatch_rule(_id("SDR"), info)))

    async def update_rule(self, caller: Caller, request: sip.UpdateSIPDispatchRuleRequest) -> sip.SIPDispatchRuleInfo:
        """Change a rule, all of it or what is said."""
        caller.must_administer_sip()
        rule = self.book.dispatch.find(request.sip_dispatch_rule_id)
        info = request.replace if request.HasField("replace") else _rule(rule)
        if request.HasField("update"):
            _update(info, request.update)
        return _rule(await self.book.dispatch.change(dispatch_rule(rule.name, info, rule.created_at)))

    async def list_rules(
        self, caller: Caller, request: sip.ListSIPDispatchRuleRequest
    ) -> sip.ListSIPDispatchRuleResponse:
        """List rules that lead to rooms."""
        caller.must_administer_sip()
        found = [info for rule in self.book.dispatch.rules() if (info := rule_info(rule)) is not None]
        if request.dispatch_rule_ids:
            found = [info for info in found if info.sip_dispatch_rule_id in request.dispatch_rule_ids]
        if request.trunk_ids:
            found = [info for info in found if not info.trunk_ids or set(info.trunk_ids) & set(request.trunk_ids)]
        return sip.ListSIPDispatchRuleResponse(items=_page(found, "sip_dispatch_rule_id", request))

    async def delete_rule(self, caller: Caller, request: sip.DeleteSIPDispatchRuleRequest) -> sip.SIPDispatchRuleInfo:
        """Delete a rule; calls that go on are not ended."""
        caller.must_administer_sip()
        rule = self.book.dispatch.find(request.sip_dispatch_rule_id)
        await self.book.dispatch.delete(rule.name)
        return rule_info(rule) or sip.SIPDispatchRuleInfo(sip_dispatch_rule_id=rule.name)

    async def _make(self, rule: DispatchRule) -> DispatchRule:
        more = ("pin", "trunks", "callers", "hides_number", "metadata", "attributes", "note")
        said = {name: getattr(rule, name) for name in more}
        return await self.book.dispatch.create(rule.name, rule.numbers, rule.target, **said)

    # --- phones ---

    async def create_participant(
        self, caller: Caller, request: sip.CreateSIPParticipantRequest
    ) -> sip.SIPParticipantInfo:
        """Have a room call a phone."""
        caller.must_call_by_sip()
        return await create_participant(self.book, self.calls, request)

    async def transfer_participant(
        self, caller: Caller, request: sip.TransferSIPParticipantRequest
    ) -> sip.TransferSIPParticipantResponse:
        """Have a phone in a room call somebody else instead."""
        caller.must_call_by_sip()
        caller.must_administer(request.room_name)
        return await transfer_participant(self.context.rooms, self.calls, request)


def _no_phones() -> TwirpError:
    return TwirpError(TwirpCode.UNAVAILABLE, "this server serves no phones: set sip.enabled")


def _id(prefix: str) -> str:
    return f"{prefix}_" + "".join(secrets.choice(_LETTERS) for _ in range(12))


def _must_be_new(id_: str) -> None:
    if id_:
        raise bad("the id of something new is not yours to choose")


def _inbound(trunk: Trunk) -> sip.SIPInboundTrunkInfo:
    info = inbound_info(trunk)
    if info is None:
        raise PhoneError(PhoneRefusal.NO_SUCH_TRUNK, f"no calls come in by the trunk {trunk.name!r}")
    return info


def _outbound(trunk: Trunk) -> sip.SIPOutboundTrunkInfo:
    info = outbound_info(trunk)
    if info is None:
        raise PhoneError(PhoneRefusal.NO_SUCH_TRUNK, f"no calls go out by the trunk {trunk.name!r}")
    return info


def _rule(rule: DispatchRule) -> sip.SIPDispatchRuleInfo:
    info = rule_info(rule)
    if info is None:
        raise PhoneError(PhoneRefusal.NO_SUCH_RULE, f"the rule {rule.name!r} leads to no room")
    return info


def _of_request(request: sip.CreateSIPDispatchRuleRequest) -> sip.SIPDispatchRuleInfo:
    """Take a request in the older form, in which the fields of a rule stand beside it."""
    info = sip.SIPDispatchRuleInfo()
    for field, value in request.ListFields():
        if field.name == "dispatch_rule":
            continue
        mine = getattr(info, field.name)
        if field.name == "attributes":
            mine.update(value)
        elif hasattr(mine, "extend"):
            mine.extend(value)
        elif hasattr(mine, "CopyFrom"):
            mine.CopyFrom(value)
        else:
            setattr(info, field.name, value)
    return info


def _update(info: Any, update: Message) -> None:
    """Put what is said of a trunk or rule in the place of what was there."""
    for field, value in update.ListFields():
        mine = getattr(info, field.name)
        if isinstance(value, models.ListUpdate):
            _update_list(mine, value)
        elif field.name == "attributes":
            mine.update(value)
        elif hasattr(mine, "CopyFrom"):
            mine.CopyFrom(value)
        else:
            setattr(info, field.name, value)


def _update_list(mine: Any, update: models.ListUpdate) -> None:
    kept = list(update.set) or ([] if update.clear else list(mine))
    kept = [one for one in kept if one not in update.remove]
    kept += [one for one in update.add if one not in kept]
    del mine[:]
    mine.extend(kept)


def _is_wanted(id_: str, numbers: Sequence[str], request: Any) -> bool:
    if request.trunk_ids and id_ not in request.trunk_ids:
        return False
    return not request.numbers or not numbers or bool(set(numbers) & set(request.numbers))


def _page(found: list[Any], id_field: str, request: Any) -> list[Any]:
    """Give what comes behind an id, and not more than asked for."""
    found.sort(key=lambda info: str(getattr(info, id_field)))
    if request.page.after_id:
        found = [info for info in found if getattr(info, id_field) > request.page.after_id]
    return found[: request.page.limit or MAX_PAGE]


SIP_SERVICE: dict[str, Callable[[SipService, Caller, Any], Awaitable[Message]]] = {
    "CreateSIPInboundTrunk": SipService.create_inbound,
    "CreateSIPOutboundTrunk": SipService.create_outbound,
    "UpdateSIPInboundTrunk": SipService.update_inbound,
    "UpdateSIPOutboundTrunk": SipService.update_outbound,
    "GetSIPInboundTrunk": SipService.get_inbound,
    "GetSIPOutboundTrunk": SipService.get_outbound,
    "ListSIPInboundTrunk": SipService.list_inbound,
    "ListSIPOutboundTrunk": SipService.list_outbound,
    "DeleteSIPTrunk": SipService.delete_trunk,
    "CreateSIPDispatchRule": SipService.create_rule,
    "UpdateSIPDispatchRule": SipService.update_rule,
    "ListSIPDispatchRule": SipService.list_rules,
    "DeleteSIPDispatchRule": SipService.delete_rule,
    "CreateSIPParticipant": SipService.create_participant,
    "TransferSIPParticipant": SipService.transfer_participant,
}
"""By their names in the protocol. `ListSIPTrunk` is left out: it is of a form of trunks that is no longer made."""
