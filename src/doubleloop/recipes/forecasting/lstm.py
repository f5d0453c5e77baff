"""An LSTM that says how the next periods differ from a season before.

Learning differences from the season before lets a small network forecast well on little data; its intervals are split
conformal: quantiles, for each step, of how wrong it was on the last fifth of what is known, which it had not learned
from (Vovk et al., Algorithmic Learning in a Random World; Stankevičiūtė et al. 2021 for steps of a horizon).
"""

from __future__ import annotations

import numpy
import torch

from ..shared.problems import BadData
from .methods import Bands

_BATCH, _RATE = 64, 0.01
_HELD = 0.2  # share of the windows that intervals are measured on


class Network:
    """``history``: periods that it looks back; ``horizon``: periods that it says at once; ``season``: periods."""

    def __init__(self, history: int, horizon: int, season: int, units: int, epochs: int, seed: int) -> None:
        self.history, self.horizon, self.season = history, horizon, season
        self.units, self.epochs, self.seed = units, epochs, seed

    def fit(self, values: numpy.ndarray) -> Network:
        series = values[:, 0]
        seasonal = series[self.season :] - series[: -self.season]
        self.center, self.scale = float(seasonal.mean()), float(seasonal.std()) or 1.0
        scaled = (seasonal - self.center) / self.scale
        windows = numpy.lib.stride_tricks.sliding_window_view(scaled, self.history + self.horizon)
        held = max(int(len(windows) * _HELD), 1)
        learned = windows[: len(windows) - held - self.horizon]  # no value of the held part has been seen
        if len(learned) < 20:
            raise BadData(
                f"{len(series)} periods leave {max(len(learned), 0)} windows of {self.history} and {self.horizon} to "
                "learn from, and 20 are needed; give more periods, or a smaller history or horizon"
            )
        self._learn(learned)
        wrong = self._say(windows[-held:, : self.history]) - windows[-held:, self.history :]
        self.errors = numpy.sort(numpy.abs(wrong), axis=0)  # (held, horizon)
        self.past = series[-(self.season + self.history) :].copy()
        self.told = {"windows": float(len(learned)), "held_windows": float(held)}
        return self

    def _learn(self, windows: numpy.ndarray) -> None:
        torch.manual_seed(self.seed)
        torch.set_num_threads(1)
        net = _Net(self.units, self.horizon)
        data = torch.tensor(windows, dtype=torch.float32)
        optimizer = torch.optim.Adam(net.parameters(), lr=_RATE)
        for _ in range(self.epochs):
            for batch in torch.randperm(len(data)).split(_BATCH):
                rows = data[batch]
                loss = torch.nn.functional.mse_loss(net(rows[:, : self.history]), rows[:, self.history :])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self.weights = {name: each.numpy().copy() for name, each in net.state_dict().items()}

    def _say(self, windows: numpy.ndarray) -> numpy.ndarray:
        """(n, history) scaled differences → (n, horizon)."""
        net = _Net(self.units, self.horizon)
        net.load_state_dict({name: torch.tensor(each) for name, each in self.weights.items()})
        with torch.no_grad():
            return net(torch.tensor(numpy.array(windows), dtype=torch.float32)).numpy().astype(float)

    def forecast(self, steps: int, level: float) -> Bands:
        """Beyond the horizon it goes on from its own answers, and intervals widen with the root of the rounds."""
        known = list(self.past)
        wide: list[float] = []
        rank = min(int(numpy.ceil((len(self.errors) + 1) * level)), len(self.errors)) - 1
        for turn in range(-(-steps // self.horizon)):
            recent = numpy.array(known[-(self.season + self.history) :])
            window = (recent[self.season :] - recent[: -self.season] - self.center) / self.scale
            change = self._say(window[None, :])[0] * self.scale + self.center
            for each in change:
                known.append(known[-self.season] + each)
            wide += list(self.errors[rank] * self.scale * numpy.sqrt(turn + 1))
        mean = numpy.array(known[len(self.past) : len(self.past) + steps])[:, None]
        spread = numpy.array(wide[:steps])[:, None]
        return mean, mean - spread, mean + spread


class _Net(torch.nn.Module):
    def __init__(self, units: int, horizon: int) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(1, units, batch_first=True)
        self.head = torch.nn.Linear(units, horizon)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        found, _ = self.lstm(windows[:, :, None])
        answer: torch.Tensor = self.head(found[:, -1])
        return answer
