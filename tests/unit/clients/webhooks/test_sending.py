"""Webhooks arrive at least once, in the order of their room, and what does not arrive is kept."""

from __future__ import annotations

import pytest
from webhook_world import NOW, OTHER, URL, MemoryStore, Posts, make_world, settle

from roomtone.clients.webhooks import Attempt, Outcome, SendRules
from roomtone.clients.webhooks.sending import LEASE_S
from roomtone.control.webhooks import WebhookError, WebhookRefusal

DOWN = Attempt("status 503")


async def test_what_arrives_is_kept_first_and_forgotten_then() -> None:
    world = make_world(urls=(URL, OTHER))
    await world.delivery.start()
    world.posts.gate.clear()
    world.send("a")
    await settle()
    assert [one.url for one in world.store.waiting.values()] == [URL, OTHER]
    assert {one.lease_until for one in world.store.waiting.values()} == {NOW + LEASE_S}
    world.posts.gate.set()
    await world.delivery.drained()
    assert (world.bodies(URL), world.bodies(OTHER)) == (["a"], ["a"])
    assert (world.store.waiting, world.store.dead, world.delivery.waiting) == ({}, {}, 0)
    assert world.delivery.counts == {Outcome.DELIVERED: 2}
    await world.delivery.close()


async def test_a_target_that_is_down_is_tried_again_with_growing_pauses_and_its_room_keeps_its_order() -> None:
    world = make_world(first_pause_s=1.0, max_pause_s=5.0)
    world.posts.answers[URL].extend([DOWN] * 4)
    await world.delivery.start()
    for id_ in ("a", "b"):
        world.send(id_)
    await world.delivery.drained()
    assert world.bodies() == ["a", "a", "a", "a", "a", "b"]
    assert world.pauses == [1.0, 2.0, 4.0, 5.0]
    assert world.delivery.counts == {Outcome.FAILED: 4, Outcome.DELIVERED: 2}
    await world.delivery.close()


def test_pauses_are_shortened_at_random_by_up_to_a_half() -> None:
    rules = SendRules(urls=(), first_pause_s=2.0, max_pause_s=100.0)
    assert [rules.pause_s(3, chance) for chance in (0.0, 0.5, 1.0)] == [8.0, 6.0, 4.0]
    assert rules.pause_s(10_000, 0.0) == 100.0


async def test_a_targets_own_wish_for_the_pause_is_followed_up_to_the_longest() -> None:
    world = make_world(first_pause_s=1.0, max_pause_s=30.0)
    world.posts.answers[URL].extend([Attempt("status 429", retry_after_s=20), Attempt("x", retry_after_s=9_000)])
    await world.delivery.start()
    world.send("a")
    await world.delivery.drained()
    assert world.pauses == [20.0, 30.0]
    await world.delivery.close()


async def test_after_the_last_attempt_it_is_among_the_dead_letters_and_the_next_goes_on() -> None:
    world = make_world(retries=2)
    world.posts.answers[URL].extend([DOWN] * 3)
    await world.delivery.start()
    for id_ in ("a", "b"):
        world.send(id_)
    await world.delivery.drained()
    assert world.bodies() == ["a", "a", "a", "b"]
    (letter,) = await world.delivery.letters(10)
    assert (letter.event_id, letter.attempts, letter.last_error) == ("a", 3, "status 503")
    assert (letter.url, letter.body, letter.created_at) == (URL, b"a", NOW)
    assert world.store.waiting == {}
    assert world.delivery.counts[Outcome.GIVEN_UP] == 1
    await world.delivery.close()


async def test_what_can_never_arrive_is_tried_once() -> None:
    world = make_world()
    world.posts.answers[URL].append(Attempt("refused", final=True))
    await world.delivery.start()
    world.send("a")
    await world.delivery.drained()
    assert (world.bodies(), world.pauses, len(world.store.dead)) == (["a"], [], 1)
    await world.delivery.close()


async def test_a_room_in_trouble_holds_up_no_other_and_attempts_at_once_are_limited() -> None:
    world = make_world(concurrency=2)
    world.posts.gate.clear()
    await world.delivery.start()
    for number in range(10):
        world.send(f"{number}", room=f"room{number % 5}")
    await settle()
    assert world.posts.most_at_once == 2
    world.posts.gate.set()
    await world.delivery.drained()
    assert sorted(world.bodies()) == [f"{number}" for number in range(10)]
    for number in range(5):
        assert [body for body in world.bodies() if int(body) % 5 == number] == [f"{number}", f"{number + 5}"]
    assert world.posts.most_at_once == 2
    await world.delivery.close()


async def test_more_than_may_wait_are_given_up_at_once_and_none_is_lost() -> None:
    world = make_world(queue=2)
    world.posts.gate.clear()
    await world.delivery.start()
    for id_ in ("a", "b", "c"):
        world.send(id_)
    await settle()
    assert world.delivery.waiting == 2
    assert [letter.event_id for letter in await world.delivery.letters(10)] == ["c"]
    assert world.delivery.counts[Outcome.OVERFLOWED] == 1
    world.posts.gate.set()
    await world.delivery.drained()
    assert world.bodies() == ["a", "b"]
    await world.delivery.close()


async def test_what_waits_at_the_end_is_sent_after_the_next_start_in_order() -> None:
    store = MemoryStore()
    first = make_world(store)
    await first.delivery.start()
    first.posts.gate.clear()
    for id_ in ("a", "b"):
        first.send(id_)
    await settle()
    first.send("c")  # not even written yet
    await first.delivery.close()
    assert {one.lease_until for one in store.waiting.values()} == {0}
    second = make_world(store)
    await second.delivery.start()
    await second.delivery.drained()
    assert second.bodies() == ["a", "b", "c"]
    assert store.waiting == {}
    await second.delivery.close()


async def test_dead_letters_survive_and_what_a_killed_server_left_is_taken_over_when_its_lease_ends() -> None:
    store = MemoryStore()
    killed = make_world(store, retries=0)
    killed.posts.answers[URL].append(DOWN)
    await killed.delivery.start()
    killed.send("dead")
    await killed.delivery.drained()
    killed.posts.gate.clear()
    killed.send("left")
    await settle()  # and it never closes
    second = make_world(store)
    await second.delivery.start()
    assert second.delivery.waiting == 0
    assert [letter.event_id for letter in await second.delivery.letters(10)] == ["dead"]
    second.clock[0] += LEASE_S + 1
    await second.delivery._claim()
    await second.delivery.drained()
    assert second.bodies() == ["left"]
    await second.delivery.close()
    await killed.delivery.close()


async def test_more_than_one_batch_is_taken_over_at_a_start() -> None:
    store = MemoryStore()
    first = make_world(store)
    first.posts.gate.clear()
    await first.delivery.start()
    for number in range(450):
        first.send(f"{number}")
    await first.delivery.close()
    second = make_world(store)
    await second.delivery.start()
    await second.delivery.drained()
    assert second.bodies() == [f"{number}" for number in range(450)]
    await second.delivery.close()


async def test_what_waits_for_a_url_that_is_no_target_any_more_is_given_up_with_the_reason() -> None:
    store = MemoryStore()
    first = make_world(store, urls=(OTHER,))
    first.posts.gate.clear()
    await first.delivery.start()
    first.send("a")
    await first.delivery.close()
    second = make_world(store)
    await second.delivery.start()
    (letter,) = await second.delivery.letters(10)
    assert "webhooks.urls" in letter.last_error
    with pytest.raises(WebhookError) as caught:
        await second.delivery.resend(letter.id or 0)
    assert caught.value.refusal is WebhookRefusal.UNKNOWN_TARGET
    assert len(store.dead) == 1
    await second.delivery.close()


async def test_a_dead_letter_is_sent_again_or_forgotten_once() -> None:
    world = make_world(retries=0)
    world.posts.answers[URL].extend([DOWN, DOWN])
    await world.delivery.start()
    for id_ in ("a", "b"):
        world.send(id_)
    await world.delivery.drained()
    a, b = (letter.id or 0 for letter in await world.delivery.letters(10))
    await world.delivery.resend(a)
    await world.delivery.drained()
    assert world.bodies() == ["a", "b", "a"]
    assert world.store.waiting == {}
    await world.delivery.forget(b)
    for asked in (world.delivery.resend(a), world.delivery.forget(b)):
        with pytest.raises(WebhookError) as caught:
            await asked
        assert caught.value.refusal is WebhookRefusal.NO_SUCH_LETTER
    assert await world.delivery.letters(10) == []
    await world.delivery.close()


async def test_a_full_target_takes_no_dead_letter_back() -> None:
    world = make_world(retries=0, queue=1)
    world.posts.answers[URL].append(DOWN)
    await world.delivery.start()
    world.send("a")
    await world.delivery.drained()
    world.posts.gate.clear()
    world.send("b")
    with pytest.raises(WebhookError) as caught:
        await world.delivery.resend(next(iter(world.store.dead)))
    assert caught.value.refusal is WebhookRefusal.QUEUE_FULL
    await world.delivery.close()


async def test_without_a_database_webhooks_go_out_all_the_same_and_it_is_counted() -> None:
    world = make_world(retries=0)
    await world.delivery.start()
    world.store.broken = True
    world.posts.answers[URL].extend([Attempt(), DOWN])
    for id_ in ("a", "b"):
        world.send(id_)
    await world.delivery.drained()
    assert world.bodies() == ["a", "b"]
    counts = world.delivery.counts
    assert (counts[Outcome.UNKEPT], counts[Outcome.LOST], counts[Outcome.DELIVERED]) == (2, 1, 1)
    await world.delivery.close()


async def test_a_poster_that_breaks_is_an_attempt_that_failed() -> None:
    class Breaking(Posts):
        async def post(self, url: str, body: bytes) -> Attempt:
            if not self.sent:
                self.sent.append((url, body))
                raise RuntimeError("broken")
            return await super().post(url, body)

    world = make_world(posts=Breaking())
    await world.delivery.start()
    world.send("a")
    await world.delivery.drained()
    assert world.bodies() == ["a", "a"]
    await world.delivery.close()


async def test_without_targets_nothing_is_kept_or_sent() -> None:
    world = make_world(urls=())
    await world.delivery.start()
    world.send("a")
    await settle()
    assert (world.store.waiting, world.posts.sent) == ({}, [])
    await world.delivery.close()
