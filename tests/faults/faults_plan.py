"""When to kill whom: drawn from a seed, so that a run can be repeated with the same plan."""

from __future__ import annotations

import random
from dataclasses import dataclass

# How often each part dies in every 30 kills. ``all`` is everything but running commands, ``machine`` is those too.
DECK = {
    "worker": 8, "api": 4, "gateway": 4, "mlflow": 3, "scorer": 3, "supervisor": 3, "all": 3, "runner": 1, "machine": 1,
}  # fmt: skip
# Those that end a command in its middle. The second time that this happens to one job it is a failure (docs/jobs.md),
# so a release has at most one of them.
HARD = ("runner", "machine")

# What every release tells, and how often: (type of fact, which one).
MOMENTS = [
    ("release.started", 1), ("release.stage_entered", 1), ("job.submitted", 1), ("step.started", 1),
    ("token.created", 1), ("model.registered", 1), ("step.completed", 1), ("job.completed", 1),
    ("release.candidate", 1), ("deployment.created", 1), ("deployment.starting", 1), ("deployment.ready", 1),
    ("release.evidence", 1), ("release.evidence", 2), ("release.evidence", 3), ("release.evidence", 4),
    ("release.evidence", 5), ("release.stage_entered", 2), ("release.waiting", 1), ("approval.given", 1),
    ("release.approved", 1), ("deployment.created", 2), ("deployment.starting", 2), ("deployment.ready", 2),
    ("release.rolling_out", 1), ("endpoint.traffic", 1), ("release.baked", 1), ("release.promoted", 1),
]  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """``after`` seconds after the ``nth`` fact of a type, or (type empty) after the release's start."""

    victim: str
    after: float
    fact: str = ""
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.victim} {self.after:.2f} s after {f'{self.fact} {self.nth}' if self.fact else 'the start'}"


def deck(draw: random.Random, releases: int, each: int) -> list[list[str]]:
    """``releases`` hands of ``each`` victims, in the proportions of DECK, at most one HARD one in a hand."""
    whole = [victim for victim, count in DECK.items() for _ in range(count)]
    while True:
        cards = [card for _ in range(-(-releases * each // len(whole))) for card in draw.sample(whole, len(whole))]
        hands = [cards[number * each : (number + 1) * each] for number in range(releases)]
        if all(sum(card in HARD for card in hand) <= 1 for hand in hands):
            return hands


def kills(draw: random.Random, hand: list[str], duration: float) -> list[Kill]:
    """Half of them somewhere in ``duration`` (seconds that the last release took), half soon after a fact; in every
    release one around the decision of people."""
    planned = [
        Kill(hand[0], draw.uniform(0, 0.2), *draw.choice([("release.waiting", 1), ("approval.given", 1)])),
        *(Kill(victim, draw.uniform(0, duration)) for victim in hand[1::2]),
        *(Kill(victim, draw.expovariate(2), *draw.choice(MOMENTS)) for victim in hand[2::2]),
    ]
    draw.shuffle(planned)
    return planned
