"""``python -m tests.reference``: how our results compare with the published ones, and how long they take."""

from __future__ import annotations

from statistics import median

from tests.reference.rows import ALL, OTHERS, TABLE, Measure, measure

WORST = 10


def share(measures: list[Measure]) -> str:
    short = sum(1 for m in measures if m.longer <= 0)
    return f"{short} of {len(measures)} ({100 * short / len(measures):.1f} %)"


def main() -> None:
    measures = [measure(name, row) for name, row in ALL.items()]
    print(f"at or under the published length: {share(measures)}")
    print(f"  in the reference table          {share([m for m in measures if m.name in TABLE])}")
    print(f"  in the golden problems          {share([m for m in measures if m.name in OTHERS])}")
    print(f"published cost {sum(m.theirs for m in measures)}, ours {sum(m.ours for m in measures)}")
    print(f"errata: {sum(1 for row in TABLE.values() if 'erratum' in row)}")
    print("the worst")
    for m in sorted(measures, key=lambda m: -m.ours / m.theirs)[:WORST]:
        print(f"  {m.name:<44} ours {m.ours:>4}   published {m.theirs:>4}")
    for label, times in (
        ("derivation, simplification included", [m.total for m in measures]),
        ("simplification", [m.simplifying for m in measures]),
    ):
        print(f"{label}: median {1e3 * median(times):.1f} ms, worst {1e3 * max(times):.0f} ms")


if __name__ == "__main__":
    main()
