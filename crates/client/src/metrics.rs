//! The service's counters, in the text format of Prometheus.

use anyhow::Result;
use reqwest::Client;

/// One reading of `/metrics`.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: Vec<(String, f64)>,
}

impl Metrics {
    /// Reads the counters of the service at `base`.
    ///
    /// # Errors
    /// Returns an error if the service does not respond with success.
    pub async fn fetch(http: &Client, base: &str) -> Result<Self> {
        let answer = http.get(format!("{base}/metrics")).send().await?.error_for_status()?;
        Ok(Self::parse(&answer.text().await?))
    }

    /// Parses the text format. Lines that are not samples are skipped.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self { samples: samples.collect() }
    }

    /// Returns the sum of all series of `name` that have these labels, or 0 if there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let matching = self.samples.iter().filter(|(series, _)| {
            let (of, rest) = series.split_once('{').unwrap_or((series, ""));
            let listed = format!(",{},", rest.strip_suffix('}').unwrap_or(rest));
            of == name && labels.iter().all(|(label, value)| listed.contains(&format!(",{label}=\"{value}\",")))
        });
        matching.map(|(_, value)| value).sum()
    }

    /// Returns the series of `name`, each with its value.
    pub fn series(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        let of = move |series: &str| series.split_once('{').map_or(series, |(of, _)| of) == name;
        self.samples.iter().map(|(series, value)| (series.as_str(), *value)).filter(move |(series, _)| of(series))
    }

    /// Returns how often the database was read for entries of the cache `lane`.
    pub fn loads(&self, lane: &str) -> u64 {
        self.sum("cache_loads_total", &[("lane", lane)]) as u64
    }

    /// Returns how often the cache worked without Redis: bypassed reads, values that were not stored, deferred deletes,
    /// and purges of the `events` cache because announcements may have been missed.
    pub fn without_redis(&self) -> u64 {
        let signs = [
            ("cache_reads_total", "outcome", "bypass"),
            ("cache_fills_total", "result", "failed"),
            ("cache_invalidations_total", "result", "deferred"),
            ("product_events_total", "result", "resync"),
        ];
        signs.iter().map(|(name, label, value)| self.sum(name, &[(label, value)])).sum::<f64>() as u64
    }

    /// Returns how many change events the listener has applied.
    pub fn events_applied(&self) -> u64 {
        self.sum("product_events_total", &[("result", "applied")]) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP cache_loads_total Loads
# TYPE cache_loads_total counter
cache_loads_total{keyspace="product",lane="swr",source="database"} 3
cache_loads_total{keyspace="product",lane="ttl",source="database"} 4
http_requests_total{route="/products/{strategy}/{id}",method="GET"} 7
product_event_applied_seconds_sum 0.0125
product_event_applied_seconds_count 5
product_event_applied_seconds_bucket{le="+Inf"} 5
not a sample
"#;

    #[test]
    fn without_redis_sums_every_counter_of_degraded_operation() {
        let sample = |name: &str, label: &str, value: &str| format!("{name}{{{label}=\"{value}\"}} 2\n");
        let text = [
            sample("cache_reads_total", "outcome", "bypass"),
            sample("cache_reads_total", "outcome", "hit"),
            sample("cache_fills_total", "result", "failed"),
            sample("cache_invalidations_total", "result", "deferred"),
            sample("product_events_total", "result", "resync"),
            sample("product_events_total", "result", "applied"),
        ];
        assert_eq!(Metrics::parse(&text.concat()).without_redis(), 8);
    }

    #[test]
    fn sum_covers_every_series_with_the_given_labels() {
        let metrics = Metrics::parse(TEXT);
        assert_eq!(metrics.loads("swr"), 3);
        assert_eq!(metrics.sum("cache_loads_total", &[]), 7.0);
        assert_eq!(metrics.sum("cache_loads_total", &[("lane", "sw")]), 0.0);
        assert_eq!(metrics.sum("http_requests_total", &[("method", "GET")]), 7.0);
        assert_eq!(metrics.sum("product_event_applied_seconds_sum", &[]), 0.0125);
        assert_eq!(metrics.sum("absent", &[]), 0.0);
    }
}
