"""What Schemathesis does not know by itself: a format of these documents, and a check."""

import schemathesis
from hypothesis import strategies as st

# Its coverage phase makes header values of letters and digits, unless it knows the format.
_tags = st.from_regex(r'(W/)?"[!#-~]*"', fullmatch=True)
schemathesis.openapi.format(
    "entity-tags", st.just("*") | _tags | st.lists(_tags, min_size=2, max_size=3).map(", ".join)
)

# The rules that a schema cannot state, by the field that the problem names:
RULES = {
    # `ids` excludes `limit` and `cursor`; a cursor must be one that a page has returned.
    ("GET", "/products"): {"ids", "cursor"},
    # The category must exist.
    ("POST", "/products"): {"category_id"},
    ("PUT", "/products/{id}"): {"category_id"},
    ("PUT", "/products/explicit/{id}"): {"category_id"},
    ("PUT", "/products/{strategy}/{id}"): {"category_id"},
    # `min_price` must not be above `max_price`; a cursor belongs to one query.
    ("GET", "/search"): {"min_price", "cursor"},
    ("GET", "/cache/entries"): {"cursor"},
}


@schemathesis.check
def valid_data_is_refused_for_unstated_rules_only(ctx, response, case):
    """A request that matches the schema gets 422 only for a rule of the table above."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 422:
        return
    if case.method == "HEAD":  # The problem is in the body. GET is checked.
        return
    fields = {error["field"] for error in response.json()["errors"]}
    unstated = RULES.get((case.method, case.operation.path), set())
    assert fields <= unstated, f"The schema does not state the bounds of {', '.join(sorted(fields - unstated))}."
