//! The format of log lines: that of `tracing-subscriber`, with the id of the current trace.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::log_settings::LogFormat;

/// Adds `trace_id` to the lines of another format: as the first field of an object, or at the end of a text.
pub(super) struct WithTraceId<F> {
    pub(super) format: LogFormat,
    pub(super) inner: F,
}

impl<S, N, F> FormatEvent<S, N> for WithTraceId<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(trace) = trace_context::current_trace_id() else {
            return self.inner.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        match (self.format, line.strip_prefix('{')) {
            (LogFormat::Json, Some(fields)) => write!(writer, "{{\"trace_id\":\"{trace}\",{fields}"),
            _ => writeln!(writer, "{} trace_id={trace}", line.trim_end_matches('\n')),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use serde_json::Value;
    use tracing::{info, info_span, subscriber};
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{Layer, Registry, fmt::layer, registry};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the line of an event within a span, and the line of one outside.
    fn lines(lines: impl FnOnce(Log) -> Box<dyn Layer<Registry> + Send + Sync>) -> [String; 2] {
        let log = Log::default();
        let traces = tracing_opentelemetry::layer().with_tracer(SdkTracerProvider::default().tracer("a test"));
        subscriber::with_default(registry().with(lines(log.clone())).with(traces), || {
            info_span!("work").in_scope(|| info!(id = 7, "inside"));
            info!("outside");
        });
        let text = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.try_into().expect("two lines")
    }

    #[test]
    fn line_within_a_trace_names_it_in_both_formats() {
        let json = |log: Log| {
            let lines = layer().with_writer(move || log.clone()).json().flatten_event(true);
            lines.map_event_format(|inner| WithTraceId { format: LogFormat::Json, inner }).boxed()
        };
        let [inside, outside] = lines(json).map(|line| serde_json::from_str::<Value>(&line).expect("an object"));
        assert_eq!((&inside["message"], &inside["id"]), (&"inside".into(), &7.into()));
        assert_eq!(inside["trace_id"].as_str().map(str::len), Some(32));
        assert!(outside.get("trace_id").is_none(), "{outside}");

        let text = |log: Log| {
            let lines = layer().with_ansi(false).with_writer(move || log.clone());
            lines.map_event_format(|inner| WithTraceId { format: LogFormat::Pretty, inner }).boxed()
        };
        let [inside, outside] = lines(text);
        let (line, trace) = inside.split_once(" trace_id=").expect("the line names the trace");
        assert!(line.contains("inside id=7") && trace.len() == 32, "{inside}");
        assert!(!outside.contains("trace_id"), "{outside}");
    }
}
