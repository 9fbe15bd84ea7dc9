"""How likely two records are one person's, by what they say: the model of Fellegi and Sunter, as splink works it out.

All of it happens in memory: nothing is written to a file, fetched, or logged, and what comes back holds no value.
"""

import logging
import math
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from cdp.identity.match_rules import Comparison, Level, MatchRules
from cdp.identity.matching import Likeness, Pair, Traits, keys

SAMPLED_PAIRS: Final = 1_000_000
SEED: Final = 1
QUIET: Final = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "temp_directory": ""}
TABLE: Final = """
CREATE TABLE record (place INTEGER, name VARCHAR, birthDate VARCHAR, email VARCHAR, address VARCHAR,
    document VARCHAR[], documentType VARCHAR[], keys INTEGER[])
"""
FILL: Final = """
INSERT INTO record SELECT unnest($1::INTEGER[]), unnest($2::VARCHAR[]), unnest($3::VARCHAR[]), unnest($4::VARCHAR[]),
    unnest($5::VARCHAR[]), unnest($6::VARCHAR[][]), unnest($7::VARCHAR[][]), unnest($8::INTEGER[][])
"""
# One person, as two have, has different documents of different kinds: that tells nothing.
UNTOLD: Final = """document_l IS NULL OR document_r IS NULL
    OR NOT (list_has_any(documentType_l, documentType_r) OR list_has_any(document_l, document_r))"""


def can_compare() -> bool:
    """Whether the optional library is there."""
    return find_spec("splink") is not None


def likenesses(rules: MatchRules, records: Sequence[Traits]) -> dict[Pair, Likeness]:
    """How likely two records are one person's, for all that share something by the rules."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("splink").setLevel(logging.CRITICAL)
        for row in _predicted(rules, records):
            one, other = sorted((int(row["place_l"]), int(row["place_r"])))
            factors = {
                field: row[f"bf_{field}"] * row.get(f"bf_tf_adj_{field}", 1.0)
                for field in [str(comparison.field) for comparison in rules.comparisons]
            }
            # What only one of the two tells makes nothing likelier.
            weights = {field: math.log2(factor) for field, factor in factors.items() if factor != 1.0}
            found[one, other] = Likeness(float(row["match_probability"]), weights)
    return found


def _predicted(rules: MatchRules, records: Sequence[Traits]) -> Sequence[dict[str, Any]]:
    # Taking seconds to load, and optional: it is only asked for by whoever matches.
    splink, duckdb = import_module("splink"), import_module("duckdb")
    enough = len(records) >= rules.likelihood.enough
    connection = duckdb.connect(":memory:", config=QUIET)
    connection.execute(TABLE)
    connection.execute(FILL, _columns(rules, records))
    linker = splink.Linker(
        "record",
        splink.SettingsCreator(
            link_type="dedupe_only",
            unique_id_column_name="place",
            probability_two_random_records_match=rules.likelihood.prior,
            blocking_rules_to_generate_predictions=[splink.block_on("keys", arrays_to_explode=["keys"])],
            comparisons=[_comparison(one, enough) for one in rules.comparisons],
            retain_intermediate_calculation_columns=True,
            retain_matching_columns=False,
        ),
        splink.DuckDBAPI(connection),
        set_up_basic_logging=False,
    )
    if enough:
        linker.training.estimate_u_using_random_sampling(max_pairs=SAMPLED_PAIRS, seed=SEED)
    rows: list[dict[str, Any]] = linker.inference.predict().as_record_dict()
    return rows


def _columns(rules: MatchRules, records: Sequence[Traits]) -> list[Sequence[Any]]:
    def listed(trait: str) -> list[list[str] | None]:
        return [sorted(record[trait]) if trait in record else None for record in records]

    single = [[one and one[0] for one in listed(trait)] for trait in ("name", "birthDate", "email", "address")]
    return [list(range(len(records))), *single, listed("document"), listed("documentType"), keys(rules.shared, records)]


def _comparison(comparison: Comparison, enough: bool) -> Any:
    levels, field, (m, u) = import_module("splink.comparison_level_library"), comparison.field, comparison.rest
    untold = levels.NullLevel(field)
    if field == "document":
        untold = levels.CustomLevel(UNTOLD).configure(is_null_level=True)
    told = [_level(levels, field, level, enough) for level in comparison.levels]
    rest = levels.ElseLevel().configure(m_probability=m, u_probability=u)
    made = import_module("splink.comparison_library").CustomComparison
    return made(output_column_name=field, comparison_levels=[untold, *told, rest])


def _level(levels: Any, field: str, level: Level, enough: bool) -> Any:
    if field == "document":
        made = levels.CustomLevel("list_has_any(document_l, document_r)")
    elif level.like == "SAME":
        made = levels.ExactMatchLevel(field, term_frequency_adjustments=enough and field == "name")
    elif level.like == "ONE_CHARACTER":
        made = levels.DamerauLevenshteinLevel(field, 1)
    else:
        made = levels.JaroWinklerLevel(field, 0.92)
    return made.configure(m_probability=level.m, u_probability=level.u)
