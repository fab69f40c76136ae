//! Integration tests of the console over HTTP: alone, and with the whole system of private processes.
//!
//! | module | what is tested |
//! |---|---|
//! | `alone` | the page and its policy; the console without any service; requests of other sites |
//! | `forwarding` | what the gateway sends to a service, and accepts from it |
//! | `gateway` | requests to services, as they are forwarded |
//! | `live` | the stream: the board after writes, resuming, the end of the process |
//! | `faults` | each fault is caused, seen and undone, also after a crash of the console |
//!
//! `browser-tests/` presses every button in a real browser.

mod alone;
mod faults;
mod forwarding;
mod gateway;
mod live;
mod support;
