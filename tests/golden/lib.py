"""What the sites of the golden files do."""

from typing import Any


class Trees:
    def body(self, age: int, kinds: list[str]) -> list[dict[str, Any]]:
        trees = [{"kind": kind, "age": 10 * number} for number, kind in enumerate(kinds)]
        return [tree for tree in trees if tree["age"] >= age]


class Age:
    def __init__(self, least: int) -> None:
        self._least = least

    def body(self, tree: Any, years: int) -> int:
        own = tree["age"] if isinstance(tree, dict) else tree.age
        return max(own + years, self._least)
