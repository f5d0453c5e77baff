"""Pages of a listing: an opaque cursor, newest first unless the query says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


# Rows that one call looks through at most for those that are kept; then its page is short, and says where to go on.
MOST_LOOKED_THROUGH = 20_000


@dataclass(frozen=True)
class Page(Generic[T]):
    items: list[T]
    next: str | None = None

    def map(self, render: Callable[[T], U]) -> Page[U]:
        return Page([render(item) for item in self.items], self.next)


def filled(
    fetch: Callable[[str | None, int], Page[T]], keep: Callable[[T], bool], cursor: str | None, limit: int
) -> Page[T]:
    """A page of those that are kept: as long as asked while there are any, instead of short or empty ones with a next.

    ``fetch`` gives the page of so many rows that begins at a cursor. Never more rows are asked for than are missing, so
    that the cursor of the last is that of the page.
    """
    found: list[T] = []
    looked = 0
    while looked < MOST_LOOKED_THROUGH:
        page = fetch(cursor, limit - len(found))
        looked += limit - len(found)
        found += [each for each in page.items if keep(each)]
        cursor = page.next
        if cursor is None or len(found) == limit:
            break
    return Page(found, cursor)
