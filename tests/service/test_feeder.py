"""The feeder: what waits goes together, answers come after the commit and once, a full queue says so, a stop drains."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import ConflictError, StoreError
from medfloor.service.feeder import Ask, Feeder
from medfloor.store.roles import Actor

CLERK = Actor("clerk1", "county_clerk", "150981")
NOW = datetime(2024, 6, 3, tzinfo=UTC)


class Post:
    """Answer each ask with its double, and remember the batches; wait for the gate before."""

    def __init__(self, *, gate: threading.Event | None = None) -> None:
        self.batches: list[list[int]] = []
        self.gate = gate

    def __call__(self, asks: Sequence[Ask]) -> list[object]:
        if self.gate is not None:
            assert self.gate.wait(10)
        self.batches.append([ask.request for ask in asks])
        return [ConflictError("refused", "odd") if ask.request % 2 else ask.request * 2 for ask in asks]


def ask_all(feeder: Feeder, requests: Sequence[int]) -> list[object]:
    async def go() -> list[object]:
        return await asyncio.gather(
            *(feeder.ask(one, actor=CLERK, now=NOW) for one in requests), return_exceptions=True
        )

    return asyncio.run(go())


def test_each_gets_its_own_answer_and_refusals_hinder_nobody() -> None:
    feeder = Feeder(Post())
    feeder.start()
    answers = ask_all(feeder, range(6))
    assert answers[::2] == [0, 4, 8]
    assert all(isinstance(one, ConflictError) for one in answers[1::2])
    assert feeder.stop()


def test_what_arrives_while_the_last_transaction_runs_goes_into_the_next_together() -> None:
    gate = threading.Event()
    post = Post(gate=gate)
    feeder = Feeder(post, batch=4)
    feeder.start()

    async def go() -> None:
        first = asyncio.create_task(feeder.ask(0, actor=CLERK, now=NOW))
        await asyncio.sleep(0.1)
        others = [asyncio.create_task(feeder.ask(one, actor=CLERK, now=NOW)) for one in (2, 4, 6, 8, 10)]
        await asyncio.sleep(0.1)
        gate.set()
        assert await first == 0
        assert await asyncio.gather(*others) == [4, 8, 12, 16, 20]

    asyncio.run(go())
    assert post.batches == [[0], [2, 4, 6, 8], [10]]
    feeder.stop()


def test_a_full_queue_sends_callers_away_and_takes_nothing_of_them() -> None:
    gate = threading.Event()
    post = Post(gate=gate)
    feeder = Feeder(post, most=2)
    feeder.start()

    async def go() -> list[object]:
        first = asyncio.create_task(feeder.ask(0, actor=CLERK, now=NOW))
        await asyncio.sleep(0.1)
        more = [asyncio.create_task(feeder.ask(one, actor=CLERK, now=NOW)) for one in (2, 4, 6, 8)]
        await asyncio.sleep(0.1)
        gate.set()
        await first
        return await asyncio.gather(*more, return_exceptions=True)

    answers = asyncio.run(go())
    assert answers[:2] == [4, 8]
    assert [getattr(one, "code", None) for one in answers[2:]] == ["queue_full"] * 2
    assert post.batches == [[0], [2, 4]]
    feeder.stop()


def test_a_transaction_that_fails_fails_for_all_of_it_and_for_nobody_else() -> None:
    def post(asks: Sequence[Ask]) -> list[object]:
        if any(ask.request == 13 for ask in asks):
            raise StoreError("store_busy", "busy")
        return [ask.request for ask in asks]

    feeder = Feeder(post, batch=1)
    feeder.start()
    answers = ask_all(feeder, [1, 13, 2])
    assert (answers[0], answers[2]) == (1, 2) and isinstance(answers[1], StoreError)
    feeder.stop()


def test_who_went_away_before_its_turn_is_not_settled() -> None:
    gate = threading.Event()
    post = Post(gate=gate)
    feeder = Feeder(post, batch=1)
    feeder.start()

    async def go() -> None:
        first = asyncio.create_task(feeder.ask(0, actor=CLERK, now=NOW))
        await asyncio.sleep(0.1)
        gone = asyncio.create_task(feeder.ask(2, actor=CLERK, now=NOW))
        await asyncio.sleep(0.1)
        gone.cancel()
        await asyncio.sleep(0.05)
        gate.set()
        assert await first == 0
        assert await feeder.ask(4, actor=CLERK, now=NOW) == 8

    asyncio.run(go())
    assert post.batches == [[0], [4]]
    feeder.stop()


def test_an_answer_that_is_late_tells_to_ask_again_with_the_same_key() -> None:
    gate = threading.Event()
    feeder = Feeder(Post(gate=gate), seconds=0.1)
    feeder.start()
    (answer,) = ask_all(feeder, [2])
    assert isinstance(answer, StoreError) and answer.code == "answer_late"
    gate.set()
    assert feeder.stop()


def test_stopping_posts_what_waits_and_takes_nothing_more() -> None:
    gate = threading.Event()
    post = Post(gate=gate)
    feeder = Feeder(post, batch=2)
    feeder.start()

    async def go() -> list[object]:
        asked = [asyncio.create_task(feeder.ask(one, actor=CLERK, now=NOW)) for one in (0, 2, 4, 6)]
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(asyncio.to_thread(feeder.stop))
        await asyncio.sleep(0.1)
        with pytest.raises(StoreError, match="stops"):
            await feeder.ask(8, actor=CLERK, now=NOW)
        gate.set()
        assert await stopping
        return await asyncio.gather(*asked)

    assert asyncio.run(go()) == [0, 4, 8, 12]
    assert [one for batch in post.batches for one in batch] == [0, 2, 4, 6]
    assert not feeder.alive


def test_a_feeder_that_was_not_started_takes_nothing() -> None:
    (answer,) = ask_all(Feeder(Post()), [2])
    assert isinstance(answer, StoreError)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 1000), max_size=60), st.integers(1, 8))
def test_whatever_arrives_everyone_is_answered_once_in_the_order_of_arrival(asked: list[int], batch: int) -> None:
    post = Post()
    feeder = Feeder(post, batch=batch, most=1000)
    feeder.start()
    answers = ask_all(feeder, asked)
    assert feeder.stop()
    assert [one for batch in post.batches for one in batch] == asked
    assert all(len(one) <= batch for one in post.batches)
    for request, answer in zip(asked, answers, strict=True):
        assert isinstance(answer, ConflictError) if request % 2 else answer == request * 2


def test_many_loops_and_threads_may_ask_one_feeder() -> None:
    def slow(asks: Sequence[Ask]) -> list[object]:
        time.sleep(0.001)
        return [ask.request for ask in asks]

    feeder = Feeder(slow, most=10_000)
    feeder.start()
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda start=start: found.extend(ask_all(feeder, range(start, start + 50))))
        for start in range(0, 400, 50)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    feeder.stop()
    assert sorted(found) == list(range(400))  # type: ignore[type-var]
