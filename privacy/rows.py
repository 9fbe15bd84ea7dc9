"""The rows a policy is made of, as they lie in the reference tables, and what is wrong with a row that makes no sense.

A row is data, never code: counsel changes a row, not a release. `fault()` returns one sentence or None.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from privacy.errors import PolicyInvalid
from privacy.masks import STYLES
from privacy.vocabulary import (
    ANY,
    BasisKind,
    Category,
    ConsentKind,
    Purpose,
    RecipientClass,
    Sensitivity,
    TransferBasisKind,
    covers,
    is_jurisdiction,
)

_GREATER_BAY_AREA: Final = frozenset({"CN", "HK", "MO"})
_OLDEST: Final = 150


class Words(NamedTuple):
    """The ids that rows may use."""

    purposes: frozenset[str]
    categories: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one law asks before data is used for a purpose; one of three shapes.

    - ordinary: any of `bases` is enough; CONSENT among them means a consent of the kind `consent`. Where consent was
      asked for and is missing, a category in `masks` is given in that style, any other is denied.
    - `cross_border`: data leaves `jurisdiction`; without bases it never may, else a transfer basis and a consent of
      the kind `consent` naming the destination are needed.
    - `under_age`: a person younger than that many years needs a guardian's consent too where the basis is consent.

    `names_recipient`: a consent must name an affiliate or third party, "*" is not enough. `sensitivity` None stands
    for every one. A rule that is not `enforced` asks nothing, yet a border rule still hears an explicit no. The more
    specific rule is tried first.
    """

    id: str
    jurisdiction: str
    purpose: str
    sensitivity: Sensitivity | None
    recipients: tuple[RecipientClass, ...]
    bases: tuple[BasisKind, ...]
    law: str
    consent: ConsentKind | None = None
    cross_border: bool = False
    under_age: int | None = None
    names_recipient: bool = False
    masks: tuple[tuple[str, str], ...] = ()
    enforced: bool = True
    version: int = 1

    @property
    def ordinary(self) -> bool:
        """Whether this rule speaks about using data, not about borders or age."""
        return not self.cross_border and self.under_age is None

    @property
    def breadth(self) -> tuple[int, int, bool, bool, str]:
        """Sort key: the more specific rule comes first; the id makes the order total."""
        depth = -1 if self.purpose == ANY else self.purpose.count(".")
        return len(self.recipients), -depth, self.sensitivity is None, self.jurisdiction == ANY, self.id

    @property
    def place(self) -> tuple[object, ...]:
        """What the rule is about; two rules of one place would contradict each other."""
        where = (self.jurisdiction, self.purpose, self.sensitivity, frozenset(self.recipients))
        return (*where, self.cross_border, self.under_age is not None)

    def fault(self, words: Words) -> str | None:
        if self.purpose != ANY and self.purpose not in words.purposes:
            return f"purpose {self.purpose!r} is unknown; expected a known purpose or *"
        if self.jurisdiction != ANY and (fault := _place_fault(self.jurisdiction)):
            return fault + " or *"
        if not self.recipients:
            return "no recipients; expected at least one recipient class"
        if (self.consent is not None) != (BasisKind.CONSENT in self.bases or self.under_age is not None):
            bases = ", ".join(self.bases)
            return f"consent {self.consent} with bases [{bases}]; expected a kind exactly where CONSENT is one of them"
        return self._shape_fault() or self._mask_fault(words)

    def _shape_fault(self) -> str | None:
        if self.under_age is not None:
            alone = self.consent is ConsentKind.GUARDIAN and not (self.cross_border or self.bases)
            fits = alone and 0 < self.under_age <= _OLDEST
            return None if fits else f"expected an age rule to ask for GUARDIAN alone, from 1 to {_OLDEST}"
        if self.consent is ConsentKind.GUARDIAN:
            return "consent GUARDIAN; expected it in an age rule only"
        if self.cross_border:
            sound = set(self.bases) <= {BasisKind.CONSENT} and self.sensitivity is None
            return None if sound else "expected a border rule to have no basis but CONSENT and no sensitivity"
        return None if self.bases else "no bases; expected at least one"

    def _mask_fault(self, words: Words) -> str | None:
        if self.masks and not (self.ordinary and self.consent):
            return "masks; expected them only where an ordinary rule asks for consent"
        for category, style in self.masks:
            if category not in words.categories or style not in STYLES:
                return f"mask {category!r} {style!r}; expected a known category and one of {sorted(STYLES)}"
        return None


@dataclass(frozen=True, slots=True)
class CategorySensitivity:
    """How one jurisdiction ranks one category; a category without a row is GENERAL."""

    category: str
    jurisdiction: str
    sensitivity: Sensitivity
    version: int = 1

    def fault(self, words: Words) -> str | None:
        known = self.category in words.categories
        return _place_fault(self.jurisdiction) if known else _unknown_category(self.category)


@dataclass(frozen=True, slots=True)
class Basis:
    """A basis other than consent that the operator relies on; `category` may be a dotted parent or "*"."""

    purpose: str
    category: str
    jurisdiction: str
    kind: BasisKind
    assessment: str
    version: int = 1

    def fault(self, words: Words) -> str | None:
        if self.kind is BasisKind.CONSENT:
            return "kind CONSENT; expected a basis other than consent, which is given by customers"
        if self.purpose not in words.purposes:
            return f"purpose {self.purpose!r} is unknown; expected a known purpose"
        return _scope_fault(self.category, words) or _place_fault(self.jurisdiction)


@dataclass(frozen=True, slots=True)
class Notice:
    """A text customers were shown, known by its SHA-256 (hex). `scopes` are the purposes it speaks about."""

    id: str
    version: int
    jurisdiction: str
    language: str
    sha256: str
    scopes: tuple[str, ...]
    superseded_at: datetime | None = None

    def fault(self, words: Words) -> str | None:
        if len(self.sha256) != 64 or not set(self.sha256) <= set("0123456789abcdef"):
            return f"sha256 {self.sha256!r}; expected 64 lower-case hex digits"
        unknown = [scope for scope in self.scopes if scope != ANY and scope not in words.purposes]
        if unknown or not self.scopes:
            return f"scopes {list(self.scopes)}; expected known purposes or *"
        return _place_fault(self.jurisdiction)


@dataclass(frozen=True, slots=True)
class TransferBasis:
    """Why data may go from `origin` to `destination`.

    `onward` says whether another legal entity may receive it there. `cap` bounds the distinct customers of a year;
    `used` is how many there were when the policy was read. It counts until `expires_at`.
    """

    id: str
    origin: str
    destination: str
    kind: TransferBasisKind
    categories: tuple[str, ...]
    onward: bool
    ref: str
    cap: int | None = None
    used: int = 0
    expires_at: datetime | None = None

    def carries(self, category: str, onward: bool) -> bool:
        """Whether it lets this category through: listed, below its cap, and onward only where it says so."""
        below = self.cap is None or self.used < self.cap
        return below and (self.onward or not onward) and any(covers(scope, category) for scope in self.categories)

    def fault(self, words: Words) -> str | None:
        if self.origin == self.destination:
            return f"origin and destination are both {self.origin!r}; expected two jurisdictions"
        if fault := _place_fault(self.origin) or _place_fault(self.destination):
            return fault
        within = not self.onward and {self.origin, self.destination} <= _GREATER_BAY_AREA
        if self.kind is TransferBasisKind.GBA_CONTRACT and not within:
            return "expected a GBA contract to stay between CN, HK and MO and to allow no onward transfer"
        if self.used < 0 or (self.cap is not None and self.cap < 0):
            return f"cap {self.cap}, used {self.used}; expected counts from 0"
        return next(filter(None, (_scope_fault(scope, words) for scope in self.categories)), None)


def _unknown_category(category: str) -> str:
    return f"category {category!r} is unknown; expected a known category"


def _place_fault(jurisdiction: str) -> str | None:
    """A misspelt one would be nobody's law: what it asks would be asked of nobody."""
    wrong = f"jurisdiction {jurisdiction!r}; expected two capital letters such as CN"
    return None if is_jurisdiction(jurisdiction) else wrong


def _scope_fault(scope: str, words: Words) -> str | None:
    known = scope == ANY or any(covers(scope, category) for category in words.categories)
    return None if known else _unknown_category(scope) + ", a parent of one or *"


class _Row(Protocol):
    def fault(self, words: Words) -> str | None: ...


def _unique(kind: str, keys: Iterable[object]) -> None:
    doubled = [key for key, count in Counter(keys).items() if count > 1]
    if doubled:
        raise PolicyInvalid(f"{kind} {doubled[0]}: given twice; expected one row for each")


@dataclass(frozen=True, slots=True)
class PolicyRows:
    """Every row of one version, in any order, as the reference tables give them."""

    version: int
    purposes: tuple[Purpose, ...]
    categories: tuple[Category, ...]
    sensitivities: tuple[CategorySensitivity, ...]
    rules: tuple[Rule, ...]
    bases: tuple[Basis, ...]
    notices: tuple[Notice, ...]
    transfer_bases: tuple[TransferBasis, ...]

    def check(self) -> None:
        """Raise PolicyInvalid for the first row that is doubled, points nowhere or contradicts itself."""
        _unique("purpose", (row.id for row in self.purposes))
        _unique("category", (row.id for row in self.categories))
        _unique("rule", (row.id for row in self.rules))
        places: dict[object, str] = {}
        for rule in self.rules:
            if (other := places.setdefault(rule.place, rule.id)) != rule.id:
                raise PolicyInvalid(f"rule {rule.id}: is about the same as {other}; expected one rule for each use")
        _unique("notice", (row.id for row in self.notices))
        _unique("transfer basis", (row.id for row in self.transfer_bases))
        _unique("sensitivity", ((row.category, row.jurisdiction) for row in self.sensitivities))
        words = Words(frozenset(row.id for row in self.purposes), frozenset(row.id for row in self.categories))
        for purpose in self.purposes:
            if purpose.parent is not None and not (
                purpose.parent in words.purposes and purpose.id.startswith(purpose.parent + ".")
            ):
                raise PolicyInvalid(f"purpose {purpose.id}: parent {purpose.parent!r}; expected a known dotted prefix")
        governed: tuple[tuple[str, _Row], ...] = (
            *((f"rule {row.id}", row) for row in self.rules),
            *((f"notice {row.id}", row) for row in self.notices),
            *((f"transfer basis {row.id}", row) for row in self.transfer_bases),
            *((f"sensitivity of {row.category} in {row.jurisdiction}", row) for row in self.sensitivities),
            *((f"basis of {row.purpose} for {row.category} in {row.jurisdiction}", row) for row in self.bases),
        )
        for name, row in governed:
            if fault := row.fault(words):
                raise PolicyInvalid(f"{name}: {fault}")
