"""A scoring script that does nothing: one constant for each row of a request of 1 or of 100."""

ONE = [12.5]
HUNDRED = [12.5] * 100


def init() -> None:
    pass


def run(raw_data: str) -> list[float]:
    return ONE if len(raw_data) < 4096 else HUNDRED
