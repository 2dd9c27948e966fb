"""Parties that change: transferred, taken over, redirected, picked up, merged; and who stays when that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from calls_world import FakeSignal, World, sdp
from test_call_control import MUSIC, command, what_is_heard

from roomtone.control.calls import (
    Call,
    CallEnd,
    Caller,
    CallState,
    Dialog,
    Ended,
    Invitation,
    Merge,
    Offered,
    PhoneError,
    PhoneRefusal,
    PickedUp,
    Rang,
    Redirect,
    Redirected,
    Referred,
    RuleTarget,
    TakenOver,
    TargetKind,
    Transfer,
)
from roomtone.media.fake_objects import FakeMixer


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World(music=MUSIC)
    await world.open()
    for name in ("bob", "cleo", "dora"):
        await world.phone(name, "h1")
    yield world
    await world.close()


async def talking(
    world: World, called: str = "bob", answer: str | None = None, account: str = "ada", offer: str | None = None
) -> tuple[Call, FakeSignal, FakeSignal]:
    call, caller = await world.call(called, offer or sdp(), account=account)
    callee = world.signalling.legs[-1]
    call.post(callee, PickedUp(answer or sdp(5000, "0 101")))
    await world.settle()
    return call, caller, callee


async def hang_up(world: World, call: Call, signal: FakeSignal) -> None:
    call.post(signal, Ended(CallEnd.COMPLETED))
    await world.settle()


def told(signal: FakeSignal) -> list[int]:
    """The progress a referrer was told."""
    return [one[2] for one in signal.told if one[0] == "progress"]


async def test_a_phone_transfers_its_other_side_and_leaves(world: World) -> None:
    call, caller, callee = await talking(world)
    call.post(callee, Referred("r", "cleo", referred_by="<sip:bob@h>"))
    await world.settle()
    assert callee.last == ("accepted", "r")
    target = world.signalling.legs[-1]
    assert target.told[0][:3] == ("invite", "ada", "cleo"), "who is called sees whom it will talk to"
    assert target.referred_by == "<sip:bob@h>"
    call.post(target, Rang(180, None))
    await world.settle()
    assert what_is_heard(world, call) == ["other", "other"], "until then all is as it was"
    call.post(target, PickedUp(sdp(6000, "0 101")))
    await world.settle()
    assert told(callee) == [180, 200]
    assert callee.last == ("end", CallEnd.TRANSFERRED)
    assert [leg.account for leg in call.parties] == ["ada", "cleo"]
    assert what_is_heard(world, call) == ["other", "other"]
    assert world.objects()["Transport"] == 2, "the ports of who left are free"
    await hang_up(world, call, caller)
    assert target.last == ("end", CallEnd.COMPLETED)
    assert world.objects() == {}


async def test_the_caller_may_transfer_too_and_the_call_goes_on_without_it(world: World) -> None:
    call, caller, callee = await talking(world)
    call.post(caller, Referred("r", "cleo"))
    await world.settle()
    target = world.signalling.legs[-1]
    assert target.told[0][:3] == ("invite", "bob", "cleo")
    call.post(target, PickedUp(sdp(6000, "0 101")))
    await world.settle()
    assert caller.last == ("end", CallEnd.TRANSFERRED)
    await hang_up(world, call, callee)
    assert target.last == ("end", CallEnd.COMPLETED)
    assert world.objects() == {}


async def test_who_speaks_another_codec_is_converted_after_a_transfer(world: World) -> None:
    call, caller, callee = await talking(world)
    call.post(callee, Referred("r", "cleo"))
    await world.settle()
    call.post(world.signalling.legs[-1], PickedUp(sdp(6000, "8 101")))
    await world.settle()
    assert what_is_heard(world, call) == ["mix", "mix"], "the caller was told to send PCMU, and goes on to do so"
    assert call.codec == "PCMU/8000 to PCMA/8000"
    await hang_up(world, call, caller)
    assert world.objects() == {}


async def test_a_referrer_that_hangs_up_at_once_leaves_the_other_with_music(world: World) -> None:
    call, _, callee = await talking(world)
    call.post(callee, Referred("r", "cleo"))
    call.post(callee, Ended(CallEnd.COMPLETED))
    await world.settle()
    assert what_is_heard(world, call) == ["music"]
    call.post(world.signalling.legs[-1], PickedUp(sdp(6000)))
    await world.settle()
    assert what_is_heard(world, call) == ["other", "other"]
    assert told(callee) == [200]


@pytest.mark.parametrize("end", [CallEnd.BUSY, CallEnd.DECLINED, CallEnd.UNREACHABLE])
async def test_a_transfer_that_fails_leaves_the_parties_with_each_other(world: World, end: CallEnd) -> None:
    call, caller, callee = await talking(world)
    call.post(callee, Offered("hold", sdp(5000, "0", "a=inactive")))
    call.post(callee, Referred("r", "cleo"))
    await world.settle()
    assert what_is_heard(world, call) == ["music", "nothing"]
    call.post(world.signalling.legs[-1], Ended(end))
    await world.settle()
    assert told(callee) == [{CallEnd.BUSY: 486, CallEnd.DECLINED: 603, CallEnd.UNREACHABLE: 480}[end]]
    call.post(callee, Offered("on", sdp(5000, "0")))
    await world.settle()
    assert what_is_heard(world, call) == ["other", "other"]
    assert "end" not in caller.words + callee.words
    # And it may be tried again.
    call.post(callee, Referred("again", "dora"))
    await world.settle()
    call.post(world.signalling.legs[-1], PickedUp(sdp(6000)))
    await world.settle()
    assert callee.last == ("end", CallEnd.TRANSFERRED)


async def test_a_transfer_that_fails_without_its_referrer_ends_the_call(world: World) -> None:
    call, caller, callee = await talking(world)
    call.post(callee, Referred("r", "cleo"))
    call.post(callee, Ended(CallEnd.COMPLETED))
    await world.settle()
    call.post(world.signalling.legs[-1], Ended(CallEnd.BUSY))
    await world.settle()
    assert caller.last == ("end", CallEnd.BUSY)
    assert world.objects() == {}


async def test_a_target_without_a_codec_in_common_is_hung_up_and_the_parties_stay(world: World) -> None:
    call, _, callee = await talking(world, offer=sdp(4000, "18"), answer=sdp(5000, "18"))
    call.post(callee, Referred("r", "cleo"))
    await world.settle()
    target = world.signalling.legs[-1]
    call.post(target, PickedUp(sdp(6000, "0")))
    await world.settle()
    assert target.last == ("end", CallEnd.MEDIA_INCOMPATIBLE)
    assert told(callee) == [488]
    assert what_is_heard(world, call) == ["other", "other"]


@pytest.mark.parametrize(("to", "status"), [("nobody", 404), ("7000", 501)])
async def test_a_number_that_leads_nowhere_is_told_by_notify(world: World, to: str, status: int) -> None:
    await world.dispatch.create("room", ["7000"], RuleTarget(TargetKind.ROOM, room="standup"))
    call, _, callee = await talking(world)
    call.post(callee, Referred("r", to))
    await world.settle()
    assert (callee.words[-2:], told(callee)) == (["accepted", "progress"], [status])
    assert what_is_heard(world, call) == ["other", "other"]


async def test_referrals_that_cannot_be_are_refused(world: World) -> None:
    call, caller, callee = await talking(world)
    call.post(callee, Referred("foreign", None))
    await world.settle()
    assert callee.last == ("refused", "foreign", 403)
    call.post(callee, Referred("one", "cleo"))
    call.post(caller, Referred("two", "dora"))
    await world.settle()
    assert caller.last == ("refused", "two", 491)
    ringing, waits = await world.call("bob", sdp())
    ringing.post(waits, Referred("early", "cleo"))
    await world.settle()
    assert waits.last == ("refused", "early", 481)
    full, _, fourth = await talking(world)
    fourth.has_room = False
    before = len(world.signalling.legs)
    full.post(fourth, Referred("r", "cleo"))
    await world.settle()
    assert len(world.signalling.legs) == before


async def test_what_came_by_a_trunk_is_transferred_to_none(world: World) -> None:
    await world.trunk("carrier")
    signal = FakeSignal()
    call = world.calls.invited(signal, Invitation(Caller("123", trunk="carrier"), "bob", sdp()))
    assert call is not None
    await world.settle()
    call.post(world.signalling.legs[-1], PickedUp(sdp(5000)))
    await world.settle()
    call.post(signal, Referred("r", "0049"))
    await world.settle()
    assert told(signal) == [403]


async def test_two_calls_of_a_phone_become_one_without_it(world: World) -> None:
    """Attended: bob talks to ada, calls cleo meanwhile, and connects the two."""
    first, ada, bob = await talking(world)
    second, bob_again, cleo = await talking(world, "cleo", sdp(6000, "0 101"), account="bob")
    first.post(bob, Offered("hold", sdp(5000, "0", "a=inactive")))
    first.post(bob, Referred("r", "cleo", Dialog(second, bob_again)))
    await world.settle()
    assert told(bob) == [200]
    assert bob.last == bob_again.last == ("end", CallEnd.TRANSFERRED)
    assert [call.id for call in world.calls.all()] == [first.id]
    assert [leg.account for leg in first.parties] == ["ada", "cleo"]
    assert what_is_heard(world, first) == ["other", "other"]
    assert (world.objects()["Router"], world.objects()["Transport"]) == (2, 2), "cleo's ports stay on its router"
    # What happens at cleo's now happens in the first call.
    assert cleo.owner is first
    first.post(cleo, Offered("hold", sdp(6000, "0", "a=sendonly")))
    await world.settle()
    assert what_is_heard(world, first) == ["music", "nothing"]
    await hang_up(world, first, cleo)
    assert ada.last == ("end", CallEnd.COMPLETED)
    assert world.objects() == {}
    await world.calls.close()
    assert sorted(row.reason for row in world.records.rows) == ["completed", "transferred"]


async def test_who_meets_after_an_attended_transfer_is_converted_where_needed(world: World) -> None:
    first, ada, bob = await talking(world)
    second, bob_again, cleo = await talking(world, "cleo", sdp(6000, "9 101"), account="bob", offer=sdp(4500, "8 9"))
    first.post(bob, Referred("r", "cleo", Dialog(second, bob_again)))
    await world.settle()
    assert len(world.link.find(FakeMixer)) == 1
    await hang_up(world, first, ada)
    assert cleo.last == ("end", CallEnd.COMPLETED)
    assert world.objects() == {}


async def test_an_attended_transfer_to_a_call_that_is_not_there_leaves_everything(world: World) -> None:
    first, _, bob = await talking(world)
    second, bob_again, cleo = await talking(world, "cleo", account="bob")
    for dialog in (Dialog(None, None), Dialog(first, bob)):
        first.post(bob, Referred("r", "cleo", dialog))
        await world.settle()
    await hang_up(world, second, cleo)
    first.post(bob, Referred("r", "cleo", Dialog(second, bob_again)))
    await world.settle()
    assert told(bob) == [481, 481, 481]
    assert what_is_heard(world, first) == ["other", "other"]


async def test_who_is_transferred_to_a_call_that_only_rings_rings_there_instead(world: World) -> None:
    first, _, bob = await talking(world)
    second, bob_again = await world.call("cleo", sdp(), account="bob")
    rings = world.signalling.legs[-1]
    second.post(rings, Rang(180, None))
    first.post(bob, Referred("r", "cleo", Dialog(second, bob_again), "<sip:bob@h>"))
    await world.settle()
    assert rings.last == ("end", CallEnd.CANCELLED)
    assert bob_again.last == ("end", CallEnd.TRANSFERRED)
    target = world.signalling.legs[-1]
    assert (target.told[0][:3], target.referred_by) == (("invite", "ada", "cleo"), "<sip:bob@h>")
    first.post(target, PickedUp(sdp(6000)))
    await world.settle()
    assert told(bob) == [200]
    assert [leg.account for leg in first.parties] == ["ada", "cleo"]


async def test_two_transfers_that_cross_do_not_wait_for_each_other(world: World) -> None:
    first, _, bob = await talking(world)
    second, bob_again, _ = await talking(world, "cleo", account="bob")
    first.post(bob, Referred("r", "cleo", Dialog(second, bob_again)))
    second.post(bob_again, Referred("r", "ada", Dialog(first, bob)))
    await world.settle()
    assert told(bob) + told(bob_again) == [480, 480]
    assert len(world.calls) == 2


async def test_a_leg_is_taken_over_by_who_names_it(world: World) -> None:
    call, caller, callee = await talking(world)
    taker = FakeSignal(owner=call)
    call.post(taker, TakenOver(Invitation(Caller("dora"), "ada", sdp(7000, "8 101")), callee))
    await world.settle()
    assert taker.words == ["answer"]
    assert callee.last == ("end", CallEnd.TRANSFERRED)
    assert [leg.account for leg in call.parties] == ["ada", "dora"]
    assert what_is_heard(world, call) == ["mix", "mix"]
    await hang_up(world, call, taker)
    assert caller.last == ("end", CallEnd.COMPLETED)
    assert world.objects() == {}


@pytest.mark.parametrize(
    ("invitation", "end"),
    [
        (Invitation(Caller("dora"), "ada", None), CallEnd.UNSUPPORTED),
        (Invitation(Caller("dora"), "ada", "nonsense"), CallEnd.BAD_REQUEST),
        (Invitation(Caller("dora"), "ada", sdp(0)), CallEnd.MEDIA_INCOMPATIBLE),
        (Invitation(Caller("123", trunk="carrier"), "ada", sdp()), CallEnd.FORBIDDEN),
    ],
)
async def test_who_cannot_take_over_is_refused_and_the_call_goes_on(
    world: World, invitation: Invitation, end: CallEnd
) -> None:
    call, _, callee = await talking(world)
    taker = FakeSignal(owner=call)
    call.post(taker, TakenOver(invitation, callee))
    await world.settle()
    assert taker.told == [("end", end)]
    assert what_is_heard(world, call) == ["other", "other"]
    late = FakeSignal()
    call.post(late, TakenOver(Invitation(Caller("dora"), "ada", sdp()), FakeSignal()))
    await world.settle()
    assert late.told == [("end", CallEnd.LEG_LOST)]


async def test_a_call_that_rings_is_picked_up_by_another_phone(world: World) -> None:
    call, caller = await world.call("bob", sdp())
    rings = world.signalling.legs[-1]
    call.post(rings, Rang(180, None))
    taker = FakeSignal(owner=call)
    call.post(taker, TakenOver(Invitation(Caller("dora"), "bob", sdp(7000, "0 101")), rings))
    await world.settle()
    assert rings.last == ("end", CallEnd.ANSWERED_ELSEWHERE)
    assert (taker.words, caller.words) == (["answer"], ["ring", "answer"])
    assert what_is_heard(world, call) == ["other", "other"]
    await hang_up(world, call, caller)
    assert world.objects() == {}


async def test_an_operator_transfers_a_party(world: World) -> None:
    call, caller, callee = await talking(world)
    await command(world, call, Transfer(call.parties[0].id, "cleo"))
    call.post(world.signalling.legs[-1], PickedUp(sdp(6000)))
    await world.settle()
    assert callee.last == ("end", CallEnd.TRANSFERRED)
    assert [leg.account for leg in call.parties] == ["ada", "cleo"]
    with pytest.raises(PhoneError) as refused:
        await command(world, call, Transfer(call.parties[0].id, "nobody"))
    assert refused.value.refusal is PhoneRefusal.NOT_POSSIBLE
    assert what_is_heard(world, call) == ["other", "other"]
    del caller


async def test_a_phone_that_redirects_is_followed_but_not_in_circles(world: World) -> None:
    call, caller = await world.call("bob", sdp())
    for name in ("cleo", "dora"):
        call.post(world.signalling.legs[-1], Redirected((name, "bob")))
        await world.settle()
        assert world.signalling.legs[-1].told[0][:3] == ("invite", "ada", "bob")
        assert world.signalling.legs[-1].uri == f"sip:{name}@h1"
    call.post(world.signalling.legs[-1], Redirected(("bob", "cleo")))
    await world.settle()
    assert caller.last == ("end", CallEnd.REFUSED)
    assert world.objects() == {}


async def test_redirections_are_bounded(world: World) -> None:
    names = [f"n{number}" for number in range(9)]
    for name in names:
        await world.phone(name, "h1")
    call, caller = await world.call("bob", sdp())
    for name in names:
        call.post(world.signalling.legs[-1], Redirected((name,)))
        await world.settle()
    assert len(world.signalling.legs) == 1 + 5
    assert caller.last == ("end", CallEnd.REFUSED)


async def test_who_called_by_a_trunk_is_redirected_to_none(world: World) -> None:
    await world.trunk("carrier")
    signal = FakeSignal()
    call = world.calls.invited(signal, Invitation(Caller("123", trunk="carrier"), "bob", sdp()))
    assert call is not None
    await world.settle()
    call.post(world.signalling.legs[-1], Redirected(("0049",)))
    await world.settle()
    assert signal.last == ("end", CallEnd.FORBIDDEN)
    assert len(world.signalling.legs) == 1


async def test_an_operator_redirects_a_call_that_rings(world: World) -> None:
    call, caller = await world.call("bob", sdp())
    bob = world.signalling.legs[-1]
    with pytest.raises(PhoneError):
        await command(world, call, Redirect("nobody"))
    assert bob.words == ["invite"], "it rings on"
    await command(world, call, Redirect("cleo"))
    assert bob.last == ("end", CallEnd.CANCELLED)
    call.post(world.signalling.legs[-1], PickedUp(sdp(6000)))
    await world.settle()
    assert call.state is CallState.ANSWERED
    assert [leg.account for leg in call.parties] == ["ada", "cleo"]
    with pytest.raises(PhoneError) as refused:
        await command(world, call, Redirect("dora"))
    assert refused.value.refusal is PhoneRefusal.WRONG_STATE
    del caller


async def test_two_calls_are_merged_and_everybody_hears_everybody(world: World) -> None:
    first, ada, bob = await talking(world)
    second, bob_again, cleo = await talking(world, "cleo", sdp(6000, "9"), account="bob", offer=sdp(4500, "8 9"))
    first.post(bob, Offered("hold", sdp(5000, "0", "a=inactive")))
    await world.settle()
    await command(world, first, Merge(second))
    assert bob.last == ("end", CallEnd.TRANSFERRED), "of bob's two lines the one on hold is hung up"
    assert [leg.account for leg in first.parties] == ["ada", "bob", "cleo"]
    assert what_is_heard(world, first) == ["mix", "other", "other"], "two are on another router and get it by a pipe"
    mixers = world.link.find(FakeMixer)
    assert len(mixers) == 1
    assert (len(mixers[0].inputs), len(mixers[0].outputs)) == (3, 3)
    assert len(world.calls) == 1
    # Who leaves does not end it for the others.
    await hang_up(world, first, cleo)
    assert len(mixers[0].inputs) == 2
    assert len([one for one in mixers[0].outputs if one in world.link.objects]) == 2
    first.post(ada, Offered("hold", sdp(4000, "0", "a=sendonly")))
    await world.settle()
    assert ada.last[0] == "answer_offer"
    await hang_up(world, first, ada)
    assert bob_again.last == ("end", CallEnd.COMPLETED)
    assert world.objects() == {}


async def test_calls_that_cannot_be_merged_say_why_and_go_on(world: World) -> None:
    first, _, _ = await talking(world)
    ringing, _ = await world.call("cleo", sdp())
    passing, _, _ = await talking(world, offer=sdp(4000, "18"), answer=sdp(5000, "18"))
    for other, refusal in (
        (first, PhoneRefusal.NOT_POSSIBLE),
        (ringing, PhoneRefusal.WRONG_STATE),
        (passing, PhoneRefusal.NOT_POSSIBLE),
    ):
        with pytest.raises(PhoneError) as refused:
            await command(world, first, Merge(other))
        assert refused.value.refusal is refusal
    assert what_is_heard(world, first) == ["other", "other"]
    assert len(world.calls) == 3


async def test_two_merges_that_cross_both_fail_and_nobody_waits_forever(world: World) -> None:
    first, _, _ = await talking(world)
    second, _, _ = await talking(world, "cleo")
    both = [
        asyncio.create_task(world.calls.command(first.id, Merge(second))),
        asyncio.create_task(world.calls.command(second.id, Merge(first))),
    ]
    await world.settle()
    results = await asyncio.gather(*both, return_exceptions=True)
    assert all(isinstance(one, PhoneError) for one in results)
    assert len(world.calls) == 2
