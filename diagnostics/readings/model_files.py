"""Names of model files: what one tells of its model, and how a new one has to be called.

The convention is FAMILY_NNf_trainYYYYMMDD-YYYYMMDD_YYYYMMDD_HHMMSS.EXT: how many features, the first and last day of the training
data, and when the file was made. The older form, FAMILY_NNfeatures_YYYYMMDD_HHMMSS.EXT, does not say on which days a model was
trained. Any other name tells nothing that can be relied on.
"""

from __future__ import annotations

import re
from datetime import date, datetime

from msgspec import Struct

_STAMP = r"(?P<made>\d{8}_\d{6})"
_FORMS = (
    re.compile(
        rf"(?P<family>.+?)_(?P<features>\d+)f_train(?P<first>\d{{8}})-(?P<last>\d{{8}})_{_STAMP}\.(?P<kind>\w+)", re.A
    ),
    re.compile(rf"(?P<family>.+?)_(?P<features>\d+)features_{_STAMP}\.(?P<kind>\w+)", re.A),
)
_FAMILY = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*", re.A)
_DAY, _MOMENT = "%Y%m%d", "%Y%m%d_%H%M%S"
KIND = "cbm"
"""Extension of a new file where nobody says another."""


class Days(Struct, frozen=True, order=True):
    """A span of days, both ends among them."""

    first: date
    last: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def overlaps(self, other: Days) -> bool:
        return self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


class ModelFile(Struct, frozen=True, kw_only=True):
    """What the name of a model file tells."""

    family: str
    """Kind and generation: catboost_v9."""
    features: int
    made: datetime
    """By the clock of whoever made it: the name has no time zone."""
    trained: Days | None = None
    """None: the older form, which does not tell."""
    kind: str = KIND

    @property
    def name(self) -> str:
        made = f"{self.made:{_MOMENT}}.{self.kind}"
        if self.trained is None:
            return f"{self.family}_{self.features}features_{made}"
        return f"{self.family}_{self.features}f_train{self.trained.first:{_DAY}}-{self.trained.last:{_DAY}}_{made}"

    @property
    def version(self) -> str:
        """What rows carry that this model made: v9_20260201_011018."""
        return f"{self.family.rpartition('_')[2]}_{self.made:{_MOMENT}}"

    @property
    def amiss(self) -> str:
        """What in the name cannot be right; empty: nothing speaks against it."""
        if self.trained is None:
            return ""
        if self.trained.first > self.trained.last:
            return f"its training ends on {self.trained.last}, before it begins on {self.trained.first}"
        if self.trained.last > self.made.date():
            return f"it was made on {self.made:%Y-%m-%d}, before its training data ends on {self.trained.last}"
        return ""


def base(path: str) -> str:
    """The file's own name, of a path or of gs://BUCKET/PATH."""
    return re.split(r"[/\\]", path.strip())[-1]


def parse(path: str) -> ModelFile | None:
    """What the name of this file tells, by the convention or its older form; None: it follows neither, or names no real days."""
    for form in _FORMS:
        found = form.fullmatch(base(path))
        if found is None:
            continue
        said = found.groupdict()
        try:
            trained = Days(_day(said["first"]), _day(said["last"])) if "first" in said else None
            return ModelFile(
                family=said["family"],
                features=int(said["features"]),
                made=datetime.strptime(said["made"], _MOMENT),  # noqa: DTZ007
                trained=trained,
                kind=said["kind"],
            )
        except ValueError:
            return None
    return None


def make(family: str, features: int, trained: Days, made: datetime, kind: str = KIND) -> ModelFile:
    """A new model file by the convention. Raises ValueError for what cannot be its name, or cannot be right."""
    if not _FAMILY.fullmatch(family):
        raise ValueError(f"{family!r}: expected a family like catboost_v9")
    if features < 1:
        raise ValueError(f"{features} features: expected at least one")
    new = ModelFile(
        family=family, features=features, made=made.replace(tzinfo=None, microsecond=0), trained=trained, kind=kind
    )
    if new.amiss:
        raise ValueError(new.amiss)
    return new


def _day(text: str) -> date:
    return datetime.strptime(text, _DAY).date()  # noqa: DTZ007
