"""The grammar is LALR(1) without conflicts, and the kept table is its own."""

from zlib import crc32

from matcalc.syntax.builder import Builder
from matcalc.syntax.table import TABLE, build, grammar, table


def test_the_kept_table_is_that_of_the_grammar() -> None:
    with open(TABLE, encoding="utf-8") as file:
        kept = file.read()
    assert kept.startswith(f"grammar {crc32(grammar().encode())}\n"), "run: python matcalc/syntax/table.py"


def test_the_grammar_builds_under_strict() -> None:
    lines = build(grammar()).splitlines()
    assert sum(line.startswith("actions ") for line in lines) == len(table().actions)
    assert sum(line.startswith("rule ") for line in lines) == len(table().rules)


def test_the_builder_has_a_method_for_each_alias_and_no_other() -> None:
    used = {method for _, _, method in table().rules if method}
    helpers = {"span", "piece", "quotient", "refuse_tower", "refuse_bounds", "called"}
    assert used == {name for name in vars(Builder) if not name.startswith("_")} - helpers
