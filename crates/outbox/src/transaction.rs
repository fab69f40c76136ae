//! Parameters that a writing transaction sets for the triggers that write its events. They are SQL expressions, so that
//! the transaction can add them to a statement that it runs anyway. They apply until the end of the transaction.

use diesel::define_sql_function;
use diesel::sql_types::{Bool, Text};

define_sql_function! {
    /// Sets a parameter of the session, or of the transaction alone (`is_local`), and returns its value.
    fn set_config(name: Text, value: Text, is_local: Bool) -> Text;
}

/// Names the writer, which invalidates its own entries after COMMIT ([`OutboxEvent`](crate::relay::OutboxEvent)).
pub fn writer(name: &str) -> set_config<&'static str, &str, bool> {
    set_config("shop.writer", name, true)
}

/// Names the current span as the cause of the events. Without a trace, they have none.
pub fn trace() -> set_config<&'static str, String, bool> {
    let trace = trace_context::current().map(|span| span.to_string()).unwrap_or_default();
    set_config("shop.traceparent", trace, true)
}
