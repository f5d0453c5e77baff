"""Made-up parcel deliveries: how many minutes one takes, by distance, stops and rain. The same rows every time."""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

COLUMNS = ["distance_km", "stops", "rain", "minutes"]


def deliveries(count: int, seed: int) -> list[list[float]]:
    """``count`` rows of distance (km), stops, rain (0 or 1) and the minutes that the delivery took."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        distance, stops, rain = round(chance.uniform(0.5, 20), 2), chance.randint(1, 8), int(chance.random() < 0.3)
        minutes = 5 + 2.4 * distance * (1.25 if rain else 1) + 3 * stops + chance.gauss(0, 3)
        rows.append([distance, stops, rain, round(max(minutes, 1.0), 1)])
    return rows


def write(path: Path, rows: list[list[float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "files")
    write(folder / "deliveries.csv", deliveries(2000, seed=1))
    write(folder / "deliveries-holdout.csv", deliveries(500, seed=2))
