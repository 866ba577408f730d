"""Where a batch stands: each item at one row and in one place."""

from __future__ import annotations

import pytest

from diagnostics.conclude.standing import lost_once
from diagnostics.evidence.model import Leg, Stage
from diagnostics.steps.finding import Row


@pytest.mark.parametrize(
    ("route", "next_row", "left"),
    [
        ({"dead_lettered": 19, "retrying": 66}, {"dead_lettered": 19, "waiting": 66}, {}),
        ({"dropped": 80}, {"waiting": 85}, {"waiting": 5}),
        ({"dropped": 80}, {"dead_lettered": 5}, {"dead_lettered": 5}),
        ({"dead_lettered": 3}, {"dead_lettered": 5, "waiting": 2}, {"dead_lettered": 2, "waiting": 2}),
        ({}, {"waiting": 7}, {"waiting": 7}),
    ],
)
def test_what_a_route_holds_does_not_stand_at_the_next_row_again(
    route: dict[str, int], next_row: dict[str, int], left: dict[str, int]
) -> None:
    rows = [
        Row(stage=Stage.ROUTED, leg=Leg.REQUEST, where=route),
        Row(stage=Stage.DELIVERED, leg=Leg.REQUEST, where=next_row),
        Row(stage=Stage.RETURNED, leg=Leg.COMPLETION, where=next_row),
    ]
    routed, delivered, returned = lost_once(rows)
    assert (routed.where, delivered.where, returned.where) == (route, left, next_row)
