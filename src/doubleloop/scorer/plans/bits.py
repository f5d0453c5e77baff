"""Many rows through shallow trees without a branch: each distinct test is made once for all rows and kept as bits.

A test is ``x[feature] <= threshold``. Its answers for a block of rows are one bit a row, packed; where a row goes in a
tree follows from them by and, xor: the path's turn at each level is chosen among the tests of that level by the turns
before. So 64 rows take a step of a tree in one instruction, and no step waits for a guess about the one before, which
is what walking costs. After QuickScorer (Lucchese et al., SIGIR 2015), with the rows, not the leaves, side by side.

Leaves are added in the order of the trees, so the sums are those of the walk to the last bit.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Tuple

import numpy

from .steps import NotPlanned
from .trees import LEAF, Tree, Trees, fitting

# A tree is filled up to 2**depth leaves: deeper ones would be mostly filling.
DEEPEST = 6
# Bytes of one level's answers that are worked on at a time: they should stay in the processor's cache.
CHUNK_BYTES = 1 << 18

Test = Tuple[int, float, bool]


class Bits:
    """Raises NotPlanned for trees that are too deep."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._depth = max([1, *(tree.depth() for tree in trees.trees)])
        if self._depth > DEEPEST:
            raise NotPlanned("trees of %d levels" % self._depth)
        tests: Dict[Test, int] = {}
        places, self._tables = [], []
        for tree in trees.trees:
            asked, leaves = _filled(tree, self._depth, trees.dtype)
            places.append([tests.setdefault(test, len(tests)) for test in asked])
            self._tables.append(tree.values[leaves].astype(trees.sums))
        ranked = sorted(tests, key=lambda test: (test[0], test[2], test[1]))
        rank = numpy.empty(len(ranked), dtype=numpy.intp)
        rank[[tests[test] for test in ranked]] = numpy.arange(len(ranked))
        self._levels = self._by_level(rank[numpy.array(places)])
        self._features = _by_feature(ranked, trees.dtype)
        self._count = len(ranked)

    def scores(self, matrix: Any) -> Any:
        """Rows x columns of the sums. Quickest for a matrix whose columns lie in one piece each."""
        rows = len(matrix)
        found = numpy.empty((self._trees.width, rows), dtype=self._trees.sums)
        found[...] = self._trees.first[:, None]
        tests = self._tested(matrix)
        chosen, taken = numpy.empty(rows, dtype=numpy.intp), numpy.empty(rows, dtype=self._trees.sums)
        for number, leaves in self._leaves(tests, rows):
            chosen[...] = leaves
            table = self._tables[number]
            if table.shape[1] == 1:
                found[self._trees.columns[number]] += table[:, 0].take(chosen, out=taken, mode="clip")
            else:
                for column, values in enumerate(table.T):
                    found[column] += values.take(chosen, out=taken, mode="clip")
        return found.T

    def _by_level(self, places: Any) -> List[Any]:
        """Of each level: the tests at its places (places x trees)."""
        return [places[:, 2**level - 1 : 2 ** (level + 1) - 1].T.copy() for level in range(self._depth)]

    def _tested(self, matrix: Any) -> Any:
        """The answers of all tests, packed: tests x bytes."""
        columns = matrix.T
        found = numpy.empty((self._count, (len(matrix) + 7) // 8), dtype=numpy.uint8)
        for feature, first, thresholds, turned in self._features:
            answers = (numpy.greater if turned else numpy.less_equal)(columns[feature], thresholds)
            packed = numpy.packbits(answers, axis=1, bitorder="little")
            found[first : first + len(thresholds)] = ~packed if turned else packed
        return found

    def _leaves(self, tests: Any, rows: int) -> Iterator[Tuple[int, Any]]:
        """Each tree's number, and the place of its leaf for each row."""
        trees = len(self._tables)
        several = max(1, CHUNK_BYTES // (tests.shape[1] << (self._depth - 1)))
        for first in range(0, trees, several):
            levels = [tests.take(level[:, first : first + several], axis=0) for level in self._levels]
            found = numpy.unpackbits(levels[0][0], axis=1, count=rows, bitorder="little")
            for level in range(1, self._depth):
                found <<= 1
                found |= numpy.unpackbits(_turn(levels, level), axis=1, count=rows, bitorder="little")
            for number, leaves in enumerate(found, first):
                yield number, leaves


def _turn(levels: List[Any], level: int) -> Any:
    """Each row's turn at the level, of those at its places, chosen by the turns above."""
    found = levels[level]
    for above in reversed(levels[:level]):
        right, left = found[0::2], found[1::2]
        found = right ^ (above & (right ^ left))
    return found[0]


def _filled(tree: Tree, depth: int, dtype: Any) -> Tuple[List[Test], List[int]]:
    """The tests of a tree filled up to the depth, level by level, and the leaf at each of its ends. Right, where a
    test says no, comes first: a path's number has a 1 for each turn to the left."""
    thresholds = fitting(tree.threshold, dtype)
    level, tests = [0], []
    for _ in range(depth):
        below: List[int] = []
        for node in level:
            if tree.left[node] == LEAF:
                tests.append((0, 0.0, False))
                below += (node, node)
            else:
                tests.append((int(tree.feature[node]), float(thresholds[node]), bool(tree.missing_left[node])))
                below += (int(tree.right[node]), int(tree.left[node]))
        level = below
    return tests, level


def _by_feature(tests: List[Test], dtype: Any) -> List[Tuple[int, int, Any, bool]]:
    """Runs of the sorted tests that ask the same column in the same way."""
    groups: Dict[Tuple[int, bool], List[int]] = {}
    for place, (feature, _, turned) in enumerate(tests):
        groups.setdefault((feature, turned), []).append(place)
    return [
        (feature, places[0], numpy.array([[tests[place][1]] for place in places], dtype=dtype), turned)
        for (feature, turned), places in groups.items()
    ]
