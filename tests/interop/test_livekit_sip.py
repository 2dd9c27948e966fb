"""LiveKit's server SDK makes trunks and rules and has rooms call phones; LiveKit's client hears them, and they it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from conftest import PATIENCE_S, Server, start_server, stop_server, token, until
from google.protobuf.duration_pb2 import Duration
from livekit import api, rtc
from livekit.protocol import models, sip
from livekit_peer import TONE_HZ, LiveKitPeer, hear_tone
from test_desk_phone import MODULES, baresip
from test_phone_in_a_room import PHONE_HZ, SIP, strongest, write_tone
from webhook_receiver import Receiver, receive

__all__ = ["receive"]
pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*HMAC key.*"),
    pytest.mark.skipif(shutil.which("baresip") is None or not MODULES.is_dir(), reason="baresip is not installed"),
]
OTHER_HZ = 900


@pytest.fixture
def reporting(tmp_path: Path, receive: Callable[[], Receiver]) -> Iterator[tuple[Server, Receiver]]:
    target = receive()
    running = start_server(
        tmp_path, ROOMTONE_WEBHOOKS__URLS=f'["{target.url}"]', ROOMTONE_WEBHOOKS__ALLOW_PRIVATE="true"
    )
    yield running, target
    stop_server(running)


@pytest.fixture
async def lk(server: Server) -> AsyncIterator[api.LiveKitAPI]:
    client = api.LiveKitAPI(server.http, "devkey", "secret")
    yield client
    await client.aclose()


def listening_at(folder: Path) -> str:
    """Where a phone of a folder listens."""
    line = (folder / "config").read_text().split("sip_listen ", 1)[1]
    return line.split("\n", 1)[0]


async def test_a_room_calls_a_phone_that_hears_and_is_heard_and_webhooks_say_so(
    reporting: tuple[Server, Receiver], tmp_path: Path
) -> None:
    server, target = reporting
    async with api.LiveKitAPI(server.http, "devkey", "secret") as lk, LiveKitPeer() as alice:
        await alice.connect(server.http, token("standup", "alice"))
        await alice.publish_tone()
        phone = tmp_path / "phone"
        with baresip(phone, "<sip:+4930555@127.0.0.1>;regint=0", tone=write_tone, hertz=PHONE_HZ) as log:
            until(lambda: "baresip is ready" in log.read_text("utf-8", "replace"), "a phone that is ready")
            info = sip.SIPOutboundTrunkInfo(name="carrier", address=listening_at(phone), numbers=["+4930100"])
            trunk = await lk.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=info))
            made = await lk.sip.create_sip_participant(
                api.CreateSIPParticipantRequest(
                    sip_trunk_id=trunk.sip_trunk_id,
                    sip_call_to="+49 30 555",
                    room_name="standup",
                    participant_identity="bob",
                    participant_name="Bob",
                    participant_metadata="m",
                    participant_attributes={"k": "v"},
                    headers={"X-Ticket": "4711"},
                    wait_until_answered=True,
                    play_dialtone=True,
                )
            )
            assert (made.participant_identity, made.room_name) == ("bob", "standup")
            seen = await alice.next_track(rtc.TrackKind.KIND_AUDIO)
            who = seen.participant
            assert (who.identity, who.name, who.kind, who.metadata) == ("bob", "Bob", SIP, "m")
            assert who.attributes["k"] == "v"
            async with asyncio.timeout(PATIENCE_S):
                while who.attributes["sip.callStatus"] != "active":
                    await alice.next_event("participant_attributes_changed")
            told = {name: value for name, value in who.attributes.items() if name.startswith("sip.")}
            assert told == {
                "sip.callID": made.sip_call_id,
                "sip.callStatus": "active",
                "sip.trunkID": trunk.sip_trunk_id,
                "sip.phoneNumber": "+4930555",
                "sip.trunkPhoneNumber": "+4930100",
            }
            assert abs(await hear_tone(seen.track) - PHONE_HZ) < 5

            def heard() -> bool:
                return any(abs((strongest(path) or 0) - TONE_HZ) < 5 for path in phone.glob("dump-*-dec.wav"))

            await asyncio.wait_for(asyncio.to_thread(until, heard, "alice's tone at the phone"), PATIENCE_S)
            await lk.room.remove_participant(api.RoomParticipantIdentity(room="standup", identity="bob"))
            await asyncio.to_thread(
                until, lambda: "session closed" in log.read_text("utf-8", "replace"), "the phone's end of the call"
            )

        def of_phone() -> list[str]:
            return [one.event for one in target.events if one.participant.identity == "bob"]

        await asyncio.to_thread(until, lambda: "participant_left" in of_phone(), "the webhook of the phone's end")
        assert {"participant_joined", "track_published", "track_unpublished", "participant_left"} <= set(of_phone())
        assert all(
            one.participant.kind == models.ParticipantInfo.Kind.SIP
            for one in target.events
            if one.participant.identity == "bob"
        )


async def test_a_call_by_an_inbound_trunk_leads_by_its_rule_into_a_room(
    server: Server, lk: api.LiveKitAPI, tmp_path: Path
) -> None:
    inbound = sip.SIPInboundTrunkInfo(name="in", allowed_addresses=["127.0.0.1/32"], numbers=["+493077"])
    trunk = await lk.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=inbound))
    direct = sip.SIPDispatchRule(dispatch_rule_direct=sip.SIPDispatchRuleDirect(room_name="support"))
    info = sip.SIPDispatchRuleInfo(
        rule=direct, trunk_ids=[trunk.sip_trunk_id], name="support", metadata="m", attributes={"team": "a"}
    )
    rule = await lk.sip.create_dispatch_rule(api.CreateSIPDispatchRuleRequest(dispatch_rule=info))
    async with LiveKitPeer() as alice:
        await alice.connect(server.http, token("support", "alice"))
        dial = f"/dial sip:+493077@{server.ready['sip_udp'][0]}"
        account = "<sip:+491701@127.0.0.1>;regint=0"
        with baresip(tmp_path / "phone", account, "-e", dial, tone=write_tone, hertz=PHONE_HZ):
            seen = await alice.next_track(rtc.TrackKind.KIND_AUDIO)
            who = seen.participant
            assert (who.identity, who.kind, who.metadata) == ("sip_+491701", SIP, "m")
            assert {
                name: who.attributes[name] for name in ("team", "sip.trunkID", "sip.ruleID", "sip.phoneNumber")
            } == {
                "team": "a",
                "sip.trunkID": trunk.sip_trunk_id,
                "sip.ruleID": rule.sip_dispatch_rule_id,
                "sip.phoneNumber": "+491701",
            }
            assert abs(await hear_tone(seen.track) - PHONE_HZ) < 5
    await lk.sip.delete_dispatch_rule(api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule.sip_dispatch_rule_id))
    await lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk.sip_trunk_id))


async def test_trunks_are_made_listed_changed_and_deleted(lk: api.LiveKitAPI) -> None:
    inbound = sip.SIPInboundTrunkInfo(name="in", metadata="m", allowed_addresses=["192.0.2.1"], allowed_numbers=["1"])
    made = await lk.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=inbound))
    assert made.sip_trunk_id.startswith("ST_")
    assert (made.name, made.metadata, list(made.allowed_numbers)) == ("in", "m", ["1"])
    wanted = api.ListSIPInboundTrunkRequest(trunk_ids=[made.sip_trunk_id])
    assert list((await lk.sip.list_inbound_trunk(wanted)).items) == [made]
    changed = await lk.sip.update_inbound_trunk_fields(made.sip_trunk_id, numbers=["2"], name="in 2")
    assert (changed.name, list(changed.numbers), list(changed.allowed_numbers)) == ("in 2", ["2"], ["1"])
    login = sip.SIPInboundTrunkInfo(name="login", auth_username="u", auth_password="geheim")
    other = await lk.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=login))
    assert (other.auth_username, other.auth_password) == ("u", "geheim")
    login.name, login.auth_username = "both", "w"
    login.allowed_addresses.append("192.0.2.0/24")
    both = await lk.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=login))
    assert (both.auth_username, list(both.allowed_addresses)) == ("w", ["192.0.2.0/24"])
    outbound = sip.SIPOutboundTrunkInfo(
        name="out", address="sip.example.net", numbers=["+49"], auth_username="u", auth_password="geheim"
    )
    out = await lk.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=outbound))
    assert (out.auth_username, out.auth_password, out.address) == ("u", "geheim", "sip.example.net")
    outbound.address = "sip2.example.net"
    again = await lk.sip.update_outbound_trunk(out.sip_trunk_id, outbound)
    assert (again.sip_trunk_id, again.address) == (out.sip_trunk_id, "sip2.example.net")
    listed = await lk.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())
    assert [one.sip_trunk_id for one in listed.items] == [out.sip_trunk_id]
    for one in (made, other, both, out):
        await lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=one.sip_trunk_id))
        with pytest.raises(api.TwirpError) as caught:
            await lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=one.sip_trunk_id))
        assert caught.value.code == "not_found"


async def test_rules_of_each_kind_are_made_listed_changed_and_deleted(lk: api.LiveKitAPI) -> None:
    kinds = [
        sip.SIPDispatchRule(dispatch_rule_direct=sip.SIPDispatchRuleDirect(room_name="r", pin="4711")),
        sip.SIPDispatchRule(dispatch_rule_individual=sip.SIPDispatchRuleIndividual(room_prefix="call")),
        sip.SIPDispatchRule(dispatch_rule_callee=sip.SIPDispatchRuleCallee(room_prefix="number", randomize=True)),
    ]
    made = [
        await lk.sip.create_dispatch_rule(
            api.CreateSIPDispatchRuleRequest(rule=rule, name=str(at), hide_phone_number=True)
        )
        for at, rule in enumerate(kinds)
    ]
    assert [one.rule for one in made] == kinds
    ids = [one.sip_dispatch_rule_id for one in made]
    listed = await lk.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest(dispatch_rule_ids=ids))
    assert sorted(listed.items, key=lambda one: one.name) == made
    changed = await lk.sip.update_dispatch_rule_fields(ids[0], name="new", rule=kinds[1])
    assert (changed.name, changed.rule, changed.hide_phone_number) == ("new", kinds[1], True)
    for id_ in ids:
        await lk.sip.delete_dispatch_rule(api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=id_))
    assert not (await lk.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest(dispatch_rule_ids=ids))).items


async def test_what_cannot_be_done_is_never_a_success(lk: api.LiveKitAPI) -> None:
    outbound = sip.SIPOutboundTrunkInfo(address="127.0.0.1:9", numbers=["+49"])
    trunk = await lk.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=outbound))
    id_ = trunk.sip_trunk_id

    def call(**more: object) -> api.CreateSIPParticipantRequest:
        said = {"sip_trunk_id": id_, "sip_call_to": "1", "room_name": "nowhere"} | more
        return api.CreateSIPParticipantRequest(**said)  # type: ignore[arg-type]

    for request, code in (
        (call(krisp_enabled=True), "unimplemented"),
        (call(sip_trunk_id="ST_none"), "not_found"),
        (call(sip_trunk_id=""), "invalid_argument"),
        (call(room_name="a b"), "invalid_argument"),
        (call(dtmf="x"), "invalid_argument"),
        (call(sip_number="+1"), "invalid_argument"),
        (call(headers={"From": "x"}), "invalid_argument"),
    ):
        with pytest.raises(api.TwirpError) as caught:
            await lk.sip.create_sip_participant(request)
        assert caught.value.code == code, request
    for info, code in (
        (sip.SIPInboundTrunkInfo(numbers=["1"]), "invalid_argument"),
        (sip.SIPInboundTrunkInfo(allowed_addresses=["192.0.2.1"], auth_username="u"), "invalid_argument"),
        (sip.SIPInboundTrunkInfo(auth_username="u"), "invalid_argument"),
        (sip.SIPInboundTrunkInfo(allowed_addresses=["192.0.2.1"], krisp_enabled=True), "unimplemented"),
    ):
        with pytest.raises(api.TwirpError) as caught:
            await lk.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=info))
        assert caught.value.code == code
    await lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=id_))


async def test_who_is_called_and_refuses_is_told_by_its_status(lk: api.LiveKitAPI, tmp_path: Path) -> None:
    phone = tmp_path / "phone"
    with baresip(phone, "<sip:bob@127.0.0.1>;regint=0", tone=write_tone, hertz=PHONE_HZ) as log:
        until(lambda: "baresip is ready" in log.read_text("utf-8", "replace"), "a phone that is ready")
        info = sip.SIPOutboundTrunkInfo(address=listening_at(phone), numbers=["+4930100"])
        trunk = await lk.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=info))
        request = api.CreateSIPParticipantRequest(
            sip_trunk_id=trunk.sip_trunk_id,
            sip_call_to="nobody",
            room_name="quiet",
            wait_until_answered=True,
            ringing_timeout=Duration(seconds=20),
        )
        with pytest.raises(api.SipCallError) as caught:
            await lk.sip.create_sip_participant(request)
        assert (caught.value.code, caught.value.sip_status_code) == ("not_found", 404)
        await lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk.sip_trunk_id))


async def test_a_phone_of_a_room_is_transferred_to_another_and_one_that_nobody_answers_stays(
    lk: api.LiveKitAPI, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with (
        baresip(first, "<sip:+4930555@127.0.0.1>;regint=0", tone=write_tone, hertz=PHONE_HZ) as log,
        baresip(second, "<sip:+4930777@127.0.0.1>;regint=0", tone=write_tone, hertz=OTHER_HZ) as other_log,
    ):
        for one in (log, other_log):
            await asyncio.to_thread(
                until, lambda one=one: "baresip is ready" in one.read_text(), "phones that are ready"
            )
        info = sip.SIPOutboundTrunkInfo(address=listening_at(first), numbers=["+4930100"])
        trunk = await lk.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=info))
        request = api.CreateSIPParticipantRequest(
            sip_trunk_id=trunk.sip_trunk_id,
            sip_call_to="+4930555",
            room_name="desk",
            participant_identity="bob",
            wait_until_answered=True,
        )
        await lk.sip.create_sip_participant(request)

        def transfer(to: str) -> api.TransferSIPParticipantRequest:
            return api.TransferSIPParticipantRequest(room_name="desk", participant_identity="bob", transfer_to=to)

        with pytest.raises(api.TwirpError):
            await lk.sip.transfer_sip_participant(transfer(f"sip:nobody@{listening_at(second)}"))
        listed = await lk.room.list_participants(api.ListParticipantsRequest(room="desk"))
        assert [one.identity for one in listed.participants] == ["bob"]
        await lk.sip.transfer_sip_participant(transfer(f"sip:+4930777@{listening_at(second)}"))

        def heard(folder: Path, hertz: float) -> Callable[[], bool]:
            return lambda: any(abs((strongest(path) or 0) - hertz) < 5 for path in folder.glob("dump-*-dec.wav"))

        await asyncio.to_thread(until, heard(second, PHONE_HZ), "the first phone's tone at the second")
        await asyncio.to_thread(until, heard(first, OTHER_HZ), "the second phone's tone at the first")
        listed = await lk.room.list_participants(api.ListParticipantsRequest(room="desk"))
        assert not listed.participants
        await lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk.sip_trunk_id))
