"""The events of Nexmark: people who open auctions and bid, 1 : 3 : 46 of fifty events.

Proportions, identifiers, hot keys, prices and sizes are those of the Nexmark generator's defaults
(NexmarkConfiguration and generator/model, nexmark/nexmark on GitHub), at 10,000 events a second. The random
numbers are others: a function of the seed and of the event's number, so that a file can be made without those
before it. A tenth of the events comes up to 3 seconds late, as in Beam's.
"""

from pathlib import Path

import polars as pl

from bench.chance import Chance
from bench.inputs import below, cuts

RATE = 10_000
"""Events in a second of event time."""

LATE = 3 * RATE
"""How many events later an event may come than it happened."""

BASE = 1_436_918_400_000
"""When the first event happens: 2015-07-15T00:00:00Z in milliseconds."""

OF_FIFTY = {"persons": 1, "auctions": 3, "bids": 46}
PERIOD = sum(OF_FIFTY.values())

FIRST_PERSON, FIRST_AUCTION, FIRST_CATEGORY, CATEGORIES = 1_000, 1_000, 10, 5
IN_FLIGHT, ACTIVE, LEAD = 100, 1_000, 10
"""Auctions that are bid on, people who are active, and how far ahead of both an identifier may be."""

HOT_AUCTION_RATIO, HOT_BIDDER_RATIO, HOT_SELLER_RATIO, HOT_EVERY = 2, 4, 4, 100
"""All but one of so many go to the hot key, which is the last multiple of `HOT_EVERY`."""

SIZES = {"persons": 200, "auctions": 500, "bids": 100}
"""Bytes of an event on average; `extra` is what is missing."""

STATES = ("AZ", "CA", "ID", "OR", "WA", "WY")
CITIES = (
    "Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent",
    "Cheyenne",
)  # fmt: skip
FIRST_NAMES = (
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter",
)  # fmt: skip
LAST_NAMES = ("Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris")
CHANNELS = ("Google", "Facebook", "Baidu", "Apple")


def write_nexmark(folder: Path, number: int, files: int) -> None:
    """`number` events as `persons/*.parquet`, `auctions/*.parquet` and `bids/*.parquet`, as they arrive."""
    for name, first, last in cuts(number, files):
        arrived = arrivals(first, last, number=number)
        for kind, make in (("persons", persons), ("auctions", auctions), ("bids", bids)):
            make(arrived).write_parquet(below(folder, kind) / f"{name}.parquet")


def arrivals(first: int, last: int, *, number: int, seed: int = 1) -> pl.DataFrame:
    """The events that arrive from one position to another of `number`, in that order.

    Returns:
        A frame with the column `event`, the position in order of event time.
    """
    candidates = pl.DataFrame({"event": pl.int_range(max(0, first - LATE), last, eager=True)})
    chance = Chance(seed, pl.col("event"))
    delay = pl.when(chance.below(10, "late") == 0).then(chance.below(LATE, "delay")).otherwise(0)
    # The last file has all that are under way when the events end.
    end = last + LATE if last == number else last
    arrived = candidates.with_columns(arrival=pl.col("event") + delay)
    arrived = arrived.filter(pl.col("arrival").is_between(first, end, closed="left"))
    return arrived.sort("arrival", "event").select("event")


def persons(arrived: pl.DataFrame, seed: int = 1) -> pl.DataFrame:
    """The people who are new, of the events in a frame."""
    chance = Chance(seed, pl.col("event"))
    name = pl.concat_str(
        _of(FIRST_NAMES, chance, "first name"), _of(LAST_NAMES, chance, "last name"), separator=" "
    )
    card = [chance.below(10_000, f"card {part}").cast(pl.String).str.zfill(4) for part in range(4)]
    return (
        _kind(arrived, "persons")
        .select(
            "event",
            id=FIRST_PERSON + _newest_person(),
            name=name,
            emailAddress=pl.format(
                "{}@{}.com", chance.below(10**7, "user").cast(pl.String), chance.below(10**5, "host")
            ),
            creditCard=pl.concat_str(card, separator=" "),
            city=_of(CITIES, chance, "city"),
            state=_of(STATES, chance, "state"),
            dateTime=_moment(pl.col("event")),
            extra=_extra("persons", 8 + 13 + 18 + 19 + 8 + 2 + 8, chance),
        )
        .drop("event")
    )


def auctions(arrived: pl.DataFrame, seed: int = 1) -> pl.DataFrame:
    """The auctions that are opened, of the events in a frame."""
    chance = Chance(seed, pl.col("event"))
    newest = _newest_person()
    hot = chance.below(HOT_SELLER_RATIO, "hot seller") > 0
    seller = pl.when(hot).then(newest // HOT_EVERY * HOT_EVERY).otherwise(_active_person(chance))
    # An auction lasts about as long as it takes to open as many as are in flight, twice at most.
    lasts = 2 * (IN_FLIGHT * PERIOD // OF_FIFTY["auctions"]) * 1_000 // RATE
    price = _price(chance, "initial")
    return (
        _kind(arrived, "auctions")
        .select(
            "event",
            id=FIRST_AUCTION + _newest_auction(),
            itemName=pl.format("item-{}", chance.below(10**9, "item")),
            description=pl.format("description-{}", chance.bits("description")),
            initialBid=price,
            reserve=price + _price(chance, "reserve"),
            dateTime=_moment(pl.col("event")),
            expires=_moment(pl.col("event")).dt.offset_by("1ms")
            + pl.duration(milliseconds=chance.below(lasts, "expires"), time_unit="ms"),
            seller=FIRST_PERSON + seller,
            category=FIRST_CATEGORY + chance.below(CATEGORIES, "category"),
            extra=_extra("auctions", 8 * 7 + 14 + 31, chance),
        )
        .drop("event")
    )


def bids(arrived: pl.DataFrame, seed: int = 1) -> pl.DataFrame:
    """The bids, of the events in a frame."""
    chance = Chance(seed, pl.col("event"))
    newest = _newest_auction()
    first = pl.max_horizontal(newest - IN_FLIGHT, 0)
    cold = first + chance.below(newest - first + 1 + LEAD, "auction")
    hot = chance.below(HOT_AUCTION_RATIO, "hot auction") > 0
    auction = pl.when(hot).then(newest // HOT_EVERY * HOT_EVERY).otherwise(cold)
    hot_bidder = chance.below(HOT_BIDDER_RATIO, "hot bidder") > 0
    # One more, so that who bids most is not who sells most.
    bidder = pl.when(hot_bidder).then(_newest_person() // HOT_EVERY * HOT_EVERY + 1)
    known = chance.below(2, "hot channel") == 0
    number = chance.below(10_000, "channel")
    url = pl.format("https://www.nexmark.com/{}/item.htm?query=1", chance.below(10**6, "url"))
    return (
        _kind(arrived, "bids")
        .select(
            "event",
            auction=FIRST_AUCTION + auction,
            bidder=FIRST_PERSON + bidder.otherwise(_active_person(chance)),
            price=_price(chance, "price"),
            channel=pl.when(known)
            .then(_of(CHANNELS, chance, "which"))
            .otherwise(pl.format("channel-{}", number)),
            url=pl.when(known).then(url).otherwise(pl.format("{}&channel_id={}", url, number)),
            dateTime=_moment(pl.col("event")),
            extra=_extra("bids", 8 * 4, chance),
        )
        .drop("event")
    )


def _kind(arrived: pl.DataFrame, kind: str) -> pl.DataFrame:
    before = 0
    for name, share in OF_FIFTY.items():
        if name == kind:
            break
        before += share
    place = pl.col("event") % PERIOD
    return arrived.filter(place.is_between(before, before + OF_FIFTY[kind], closed="left"))


def _newest_person() -> pl.Expr:
    """The number of the last person who is new at an event or before it, from 0 on."""
    return pl.col("event") // PERIOD


def _newest_auction() -> pl.Expr:
    """The number of the last auction that is opened at an event or before it, from 0 on; -1 if none is."""
    place = pl.col("event") % PERIOD - OF_FIFTY["persons"]
    opened = pl.when(place < 0).then(-1).otherwise(pl.min_horizontal(place, OF_FIFTY["auctions"] - 1))
    return pl.col("event") // PERIOD * OF_FIFTY["auctions"] + opened


def _active_person(chance: Chance) -> pl.Expr:
    people = _newest_person() + 1
    active = pl.min_horizontal(people, ACTIVE)
    return people - active + chance.below(active + LEAD, "active person")


def _price(chance: Chance, name: str) -> pl.Expr:
    """Cents, the logarithm evenly spread from a dollar to a million."""
    return (pl.lit(10.0).pow(chance.unit(name) * 6) * 100).round().cast(pl.Int64)


def _moment(event: pl.Expr) -> pl.Expr:
    return (BASE + event * 1_000 // RATE).cast(pl.Datetime("ms"))


def _of(names: tuple[str, ...], chance: Chance, name: str) -> pl.Expr:
    return pl.lit(pl.Series(names)).gather(chance.below(len(names), name))


def _extra(kind: str, size: int, chance: Chance) -> pl.Expr:
    """Digits up to the size of such an event, give or take a fifth of what is missing."""
    missing = SIZES[kind] - size
    spread = missing // 5
    length = missing - spread + chance.below(2 * spread, "extra size")
    parts = [chance.bits(f"extra {part}").cast(pl.String) for part in range(-(-(missing + spread) // 18))]
    return pl.concat_str(parts).str.slice(0, length)
