"""A graph and the model that it stands for, held against each other before the first answer and after it."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence

import numpy

from .. import frames
from . import comparing, guarded, probes, samples
from .steps import Inputs, NotPlanned

# |graph - model| / max(1, |model|) where outputs have 32 bits: what ``torch.testing.assert_close`` allows (atol).
NARROW = 1e-5


class GuardedGraph(guarded.Guarded):
    """``make`` gives the graph, or raises NotPlanned; ``source`` says what it is made from. ``example``: an input that
    the model was logged with, or None. ``together``: rows may be scored in one call, since each is answered for itself.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        source: str,
        specs: Sequence[Dict[str, Any]],
        native: guarded.Native,
        example: Any,
    ) -> None:
        self._make, self._source, self._example = make, source, example
        self.together = False
        super().__init__(None, specs, "predict", native)

    def _write(self, path: str) -> None:
        raise NotPlanned("a graph, which is run beside the model")

    def describe(self) -> Dict[str, Any]:
        return {**super().describe(), "graph": self._source if self.used else None}

    def _proved(self, model: Any, specs: Sequence[Dict[str, Any]], method: str) -> Any:
        graph = self._make()
        asked = self._asked(specs)
        self.tolerance = max(_tolerance(expected) for _, expected in asked)
        for value, expected in asked:
            self.largest = max(self.largest, comparing.difference(graph.run(value), expected, self.tolerance))
            self.rows += _rows(value, specs)
        self.together = self._stands_alone(graph, specs, asked[0][0])
        return graph

    def _asked(self, specs: Sequence[Dict[str, Any]]) -> List[Any]:
        """Inputs and the model's own answers."""
        if not frames.is_tensor(specs):
            optional = [False] * len(specs)
            table = probes.table(Inputs(specs), optional, probes.Known(), unknown=True)
            values = [table, *([column[row : row + 1] for column in table] for row in range(probes.ALONE))]
            return [(value, self._native(value, _rows(value, specs))) for value in values]
        found = [(value, self._native(value, _rows(value, specs))) for value in self._examples(specs)]
        return found + self._made(specs)

    def _examples(self, specs: Sequence[Dict[str, Any]]) -> List[Any]:
        example, named = self._example, specs[0].get("name") is not None
        if not isinstance(example, dict if named else numpy.ndarray):
            return []
        return [example]

    def _made(self, specs: Sequence[Dict[str, Any]]) -> List[Any]:
        problem: Exception = NotPlanned("a signature without tensors")
        for length in samples.OPEN:
            try:
                values = samples.tensors(specs, length)
                return [(value, self._native(value, _rows(value, specs))) for value in values]
            except Exception as error:  # of another length than the model takes
                problem = error
        raise NotPlanned("the model refuses all inputs that its signature allows: %s" % problem)

    def _stands_alone(self, graph: Any, specs: Sequence[Dict[str, Any]], value: Any) -> bool:
        """Whether rows get together what they get alone."""
        if frames.is_tensor(specs):
            if not samples.is_batch(specs):
                return False
            single = list(samples.alone(value))
        else:
            single = [[column[row : row + 1] for column in value] for row in range(probes.ALONE)]
        try:
            together = _split(graph.run(value), len(single))
            for row, each in enumerate(single):
                comparing.difference(graph.run(each), together[row], self.tolerance)
        except Exception:
            return False
        return True


def _split(found: Any, rows: int) -> List[Any]:
    if isinstance(found, dict):
        return [{name: part[row : row + 1] for name, part in found.items()} for row in range(rows)]
    return [found[row : row + 1] for row in range(rows)]


def _rows(value: Any, specs: Sequence[Dict[str, Any]]) -> int:
    if isinstance(value, dict):
        value = next(iter(value.values()))
    return len(value) if frames.is_tensor(specs) else len(value[0])


def _tolerance(expected: Any) -> float:
    for each in comparing.arrays(expected).values():
        if each.dtype.kind == "f" and each.dtype.itemsize < 8:
            return NARROW
    return comparing.TOLERANCE
