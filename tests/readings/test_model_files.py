"""Names of model files: both forms, what is neither, and that what is made is read again."""

# ruff: noqa: DTZ001 -- the names have no time zone
from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.readings.model_files import Days, base, make, parse

WINTER = Days(date(2025, 11, 2), date(2026, 1, 8))


def test_a_name_by_the_convention_tells_features_training_and_when_it_was_made() -> None:
    found = parse("gs://models/catboost/v9/catboost_v9_33f_train20251102-20260108_20260208_170526.cbm")
    assert found is not None
    assert (found.family, found.features, found.trained) == ("catboost_v9", 33, WINTER)
    assert found.made == datetime(2026, 2, 8, 17, 5, 26)
    assert found.version == "v9_20260208_170526"
    assert not found.amiss


def test_the_older_form_does_not_tell_on_which_days_a_model_was_trained() -> None:
    found = parse("catboost_v9_33features_20260201_011018.cbm")
    assert found is not None
    assert found.trained is None
    assert found.version == "v9_20260201_011018"


@pytest.mark.parametrize(
    "name",
    [
        "catboost_v9_33features.cbm",
        "catboost_v9_feb_02_retrain.cbm",
        "catboost_v9_2026_02.cbm",
        "catboost_v9_33f_train20251102-20260108.cbm",
        "catboost_v9_33f_train20251302-20260108_20260208_170526.cbm",  # a month that there is not
        "catboost_v9_33features_20260201_256018.cbm",  # an hour that there is not
        "catboost_v9_33features_٢٠٢٦٠٢٠١_011018.cbm",
        "33f_train20251102-20260108_20260208_170526.cbm",
        "v9_current_season",
        "",
    ],
)
def test_any_other_name_tells_nothing(name: str) -> None:
    assert parse(name) is None


def test_a_name_that_contradicts_itself_is_read_and_says_so() -> None:
    backwards = parse("catboost_v9_33f_train20260108-20251102_20260208_170526.cbm")
    early = parse("catboost_v9_33f_train20251102-20260131_20260108_170526.cbm")
    assert backwards is not None and "before it begins" in backwards.amiss
    assert early is not None and "before its training data ends" in early.amiss


def test_a_new_file_is_called_by_the_convention() -> None:
    new = make("catboost_v9", 33, WINTER, datetime(2026, 2, 8, 17, 5, 26))
    assert new.name == "catboost_v9_33f_train20251102-20260108_20260208_170526.cbm"


@pytest.mark.parametrize(
    ("family", "features", "trained"),
    [
        ("cat boost", 33, WINTER),
        ("../v9", 33, WINTER),
        ("", 33, WINTER),
        ("catboost_v9", 0, WINTER),
        ("catboost_v9", 33, Days(date(2026, 1, 8), date(2025, 11, 2))),
        ("catboost_v9", 33, Days(date(2025, 11, 2), date(2026, 2, 9))),
    ],
)
def test_what_cannot_be_a_name_or_cannot_be_right_is_refused(family: str, features: int, trained: Days) -> None:
    with pytest.raises(ValueError):
        make(family, features, trained, datetime(2026, 2, 8, 17, 5, 26))


@given(
    family=st.from_regex(r"[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,8}){0,2}", fullmatch=True),
    features=st.integers(1, 999),
    days=st.lists(st.dates(date(2000, 1, 1), date(2099, 12, 31)), min_size=2, max_size=2).map(sorted),
    made=st.datetimes(datetime(2100, 1, 1), datetime(2199, 1, 1)),
)
def test_what_is_made_is_read_again(family: str, features: int, days: list[date], made: datetime) -> None:
    new = make(family, features, Days(*days), made)
    assert parse(f"gs://bucket/some/folder/{new.name}") == new


def test_two_spans_overlap_when_they_share_a_day() -> None:
    assert WINTER.overlaps(Days(date(2026, 1, 8), date(2026, 1, 31)))
    assert not WINTER.overlaps(Days(date(2026, 1, 9), date(2026, 1, 31)))
    assert date(2026, 1, 8) in WINTER
    assert date(2026, 1, 9) not in WINTER


def test_a_path_of_either_kind_has_a_base() -> None:
    assert base("gs://b/x/y.cbm") == base(r"models\y.cbm") == base("y.cbm") == "y.cbm"
