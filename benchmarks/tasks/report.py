"""The page docs/tasks.md."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime

from doubleloop.components import shipped

# Metrics of which less is better.
LESS = ("rmse", "mae", "mase", "pinball_loss", "perplexity", "log_loss", "bits_per_character")
# Scores whose best is 100.
PERCENT = ("chrf", "bleu")
# How much of what is to be gained over the naive answer counts as clearly.
CLEAR = 0.1
WIDTH = 130


@dataclass(frozen=True)
class Measured:
    """``seconds`` of processor time for the whole component, reading and judging included; ``latency`` of one row in
    ms, or why it was not served."""

    component: str
    title: str
    licence: str
    metric: str
    ours: float
    naive: float
    baseline: str
    rows: int
    seconds: float
    latency: float | str

    @property
    def clear(self) -> bool:
        """Whether a tenth of what there is to gain was gained: of an error, or of what a score lacks to its best."""
        if self.metric in LESS:
            return self.ours <= (1 - CLEAR) * self.naive
        best = 100 if self.metric in PERCENT else 1
        return self.ours - self.naive >= CLEAR * (best - self.naive)


def read(page: str) -> list[Measured]:
    """The rows that a page holds, as exactly as it tells them: what was measured elsewhere stays when some are measured
    here."""
    found = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if len(cells) == 8 and cells[0].startswith("`"):
            title, _, licence = cells[1].removesuffix(")").rpartition(" (")
            naive, _, baseline = cells[4].removesuffix(")").partition(" (")
            latency = cells[7].removesuffix(" ms")
            found.append(
                Measured(
                    cells[0].strip("`"), title, licence, cells[3], float(cells[5].split("**")[1]), float(naive),
                    baseline,
                    int(cells[2].replace(",", "")), float(cells[6].removesuffix(" s")),
                    float(latency) if latency != cells[7] else latency,
                )
            )  # fmt: skip
    return found


def page(made: list[Measured]) -> str:
    today = f"{datetime.now(UTC):%-d %B %Y}"
    parts = [
        "# What the catalog's components reach",
        _text(
            f"Made by `make bench-tasks` on {today}: each component of the [catalog](catalog.md) as a job runs it, "
            "with one thread, on real data that ships in packages. *Naive* is the component's own baseline on the same "
            "rows. *CPU* is the processor time of the whole component. *Answer* is the median of 200 requests of one "
            "row down one connection, through the gateway with key, check and log; on a busy machine it is longer."
        ),
        _table(made),
        _text(_clearly(made)),
        _text(_without(made)),
    ]
    return "\n\n".join(parts) + "\n"


def _text(words: str) -> str:
    return textwrap.fill(words, WIDTH, break_long_words=False, break_on_hyphens=False)


def _table(made: list[Measured]) -> str:
    head = "| component | data (licence) | rows | metric | naive | ours | CPU | answer |"
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *map(_line, made)])


def _line(each: Measured) -> str:
    answer = f"{each.latency:.1f} ms" if isinstance(each.latency, float) else "not served"
    cells = [
        f"`{each.component}`", f"{each.title} ({each.licence})", f"{each.rows:,}", each.metric,
        f"{each.naive:.3f} ({each.baseline})", f"**{each.ours:.3f}**" + ("" if each.clear else " (not clearly)"),
        f"{each.seconds:.0f} s", answer,
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _clearly(made: list[Measured]) -> str:
    weak = [f"`{each.component}` on {each.title}" for each in made if not each.clear]
    return (
        "A row beats its baseline clearly when it gains a tenth of what there is to gain: of the error, or of what a "
        f"score lacks to its best. {'Not so: ' + '; '.join(weak) + '.' if weak else 'All do.'}"
    )


def _without(made: list[Measured]) -> str:
    rest = [f"`{name}`" for name in shipped.names() if name not in {each.component for each in made}]
    return f"Without a row, for want of labelled data in a package or of a metric: {', '.join(rest)}."
