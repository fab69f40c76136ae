//! The table `together`: which associations are kept, and how a learning run changes them.

use std::collections::HashMap;

use database::sql;
use diesel::sql_types::{Array, BigInt, Double};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::error::RecommendationError;

/// The maximum number of associations per product. It is more than a list shows, because some products may be sold out.
const REMEMBERED: usize = 50;

/// One row of `together`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Association {
    pub(super) product: i64,
    pub(super) other: i64,
    pub(super) score: f64,
}

/// Returns both directions of each significant association, and only the best ones of each product.
pub(super) fn best(scored: impl Iterator<Item = (i64, i64, f64)>, least: f64) -> Vec<Association> {
    let mut by_product: HashMap<i64, Vec<Association>> = HashMap::new();
    for (first, second, score) in scored.filter(|(.., score)| *score >= least && *score > 0.0) {
        // The score is rounded, so that not every cart changes the lists.
        let score = (score * 10.0).round() / 10.0;
        for (product, other) in [(first, second), (second, first)] {
            by_product.entry(product).or_default().push(Association { product, other, score });
        }
    }
    for others in by_product.values_mut() {
        others.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.other.cmp(&b.other)));
        others.truncate(REMEMBERED);
    }
    by_product.into_values().flatten().collect()
}

/// Writes the associations that differ, and records the products whose lists become outdated.
pub(super) async fn write(
    connection: &mut AsyncPgConnection, associations: &[Association],
) -> Result<(), RecommendationError> {
    sql("WITH new AS MATERIALIZED (SELECT * FROM unnest($1, $2, $3) AS new (product_id, other_id, score)),
         gone AS (
             DELETE FROM together USING (
                 SELECT product_id, other_id FROM together EXCEPT SELECT product_id, other_id FROM new) AS other
             WHERE together.product_id = other.product_id AND together.other_id = other.other_id
             RETURNING together.product_id),
         put AS (
             INSERT INTO together AS known SELECT * FROM new
             ON CONFLICT (product_id, other_id) DO UPDATE SET score = excluded.score WHERE known.score <> excluded.score
             RETURNING known.product_id)
         INSERT INTO outdated SELECT product_id FROM gone UNION SELECT product_id FROM put ON CONFLICT DO NOTHING")
    .bind::<Array<BigInt>, _>(associations.iter().map(|one| one.product).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(associations.iter().map(|one| one.other).collect::<Vec<_>>())
    .bind::<Array<Double>, _>(associations.iter().map(|one| one.score).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn significant_associations_are_kept_in_both_directions() {
        let mut best = best([(1, 2, 5.04), (1, 3, 3.2), (2, 3, -9.0)].into_iter(), 3.3);
        best.sort_by_key(|one| one.product);
        let expected = [(1, 2), (2, 1)].map(|(product, other)| Association { product, other, score: 5.0 });
        assert_eq!(best, expected);
    }

    #[test]
    fn each_product_keeps_its_best_associations() {
        let many = (2..200).map(|other| (1, other, other as f64));
        let mut ones: Vec<i64> =
            best(many, 3.3).into_iter().filter(|one| one.product == 1).map(|one| one.other).collect();
        ones.sort_unstable();
        assert_eq!(ones, (150..200).collect::<Vec<_>>());
    }
}
