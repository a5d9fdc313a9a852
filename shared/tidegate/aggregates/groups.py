"""Groups: lists with what is merged into one, a row for each key and window.

Where an expression implodes a group and a function marked as elementwise follows, the function is called once
with the lists of all groups: so what no expression can merge is merged for all windows at once.
"""

from collections.abc import Callable

import polars as pl

Work = Callable[[pl.Series], pl.Series]


def apart(groups: pl.Series, single: Work, several: Work) -> pl.Series:
    """What becomes of each group, where those of one item are quicker to do.

    Args:
        groups: Lists.
        single: From the items that are alone to their results.
        several: From the other lists to theirs.
    """
    alone = groups.list.len() == 1
    results = single(groups.filter(alone).explode(empty_as_null=False))
    if results.len() == groups.len():
        return results
    order = pl.concat([alone.arg_true(), (~alone).arg_true()])
    return pl.concat([results, several(groups.filter(~alone))]).gather(order.arg_sort())
