//! `/metrics`, parsed.

#[derive(Debug)]
pub(crate) struct Metrics(Vec<Sample>);

#[derive(Debug)]
struct Sample {
    name: String,
    labels: String,
    value: f64,
}

impl Metrics {
    /// Parses the Prometheus text format, and refuses invalid lines.
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value in {line:?}"));
            let value = value.parse().unwrap_or_else(|_| panic!("no number in {line:?}"));
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => {
                    (name, labels.strip_suffix('}').unwrap_or_else(|| panic!("an open brace in {line:?}")))
                }
                None => (series, ""),
            };
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "no name in {line:?}");
            Sample { name: name.to_owned(), labels: labels.to_owned(), value }
        });
        Self(samples.collect())
    }

    /// The sum over all series of `name` that carry these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let carried = |sample: &&Sample| {
            labels.iter().all(|(label, value)| sample.labels.split(',').any(|it| it == format!("{label}=\"{value}\"")))
        };
        self.0.iter().filter(|sample| sample.name == name).filter(carried).map(|sample| sample.value).sum()
    }

    /// Whether there is any series of `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|sample| sample.name == name)
    }
}
