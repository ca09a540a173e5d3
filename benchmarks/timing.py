"""Contestants side by side: in turn, round by round, so that what else the machine does falls on all alike."""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Call = Callable[[], Any]

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
_clock = CLOCKS["wall"]


def use_clock(name: str) -> None:
    """Wall-clock time, or on a busy machine the processor time of this process."""
    global _clock
    _clock = CLOCKS[name]


class Timed(NamedTuple):
    seconds: float  # median of a call
    ratio: float  # to the reference: the median over rounds, each measured within one


def interleaved(calls: Mapping[str, Call], reference: str, budget: float, rounds: int = 15) -> dict[str, Timed]:
    """The times of calls that have run before.

    ``budget``  seconds that all together may take, roughly; whoever has used up a fair share sits out later rounds
    """
    often = {}
    for name, call in calls.items():
        share = budget / len(calls) / rounds
        once = _seconds(call, 1)
        if once < share:  # the first after others may find nothing in the cache
            once = min(once, *(_seconds(call, 1) for _ in range(3)))
        often[name] = max(1, min(5000, int(share / max(once, 1e-7))))
    spent = dict.fromkeys(calls, 0.0)
    taken: dict[str, list[float]] = {name: [] for name in calls}
    ratios: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    enabled = gc.isenabled()
    gc.disable()
    try:
        for k in range(rounds):
            now = {}
            for name in order[k % len(order) :] + order[: k % len(order)]:
                if k >= 2 and spent[name] > 1.5 * budget / len(calls) and name != reference:
                    continue
                if k >= 5 and sum(spent.values()) > 2 * budget:
                    continue
                seconds = _seconds(calls[name], often[name])
                spent[name] += seconds * often[name]
                now[name] = seconds
                taken[name].append(seconds)
            for name, seconds in now.items():
                if reference in now:
                    ratios[name].append(seconds / now[reference])
    finally:
        if enabled:
            gc.enable()
    return {
        name: Timed(statistics.median(taken[name]), statistics.median(ratios[name] or [float("nan")])) for name in calls
    }


def fastest(calls: Mapping[str, Call], rounds: int, seconds: float = 1e-3) -> dict[str, float]:
    """The least time of a call in rounds of about so many seconds each."""
    best = {name: min(_seconds(call, 1) for _ in range(5)) for name, call in calls.items()}
    often = {name: max(1, int(seconds / best[name])) for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            best[name] = min(best[name], _seconds(call, often[name]))
    return best


def _seconds(call: Call, times: int) -> float:
    """Of one call, of so many in a row."""
    repeat = range(times)
    begin = _clock()
    for _ in repeat:
        call()
    return (_clock() - begin) / times


def once(call: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds that a call took, and its result."""
    begin = _clock()
    result = call()
    return _clock() - begin, result


def peak_bytes(call: Call) -> tuple[int, int]:
    """The most bytes that a call has allocated at a time, and those of its result."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        result = call()
        return tracemalloc.get_traced_memory()[1] - before, result.nbytes
    finally:
        tracemalloc.stop()
