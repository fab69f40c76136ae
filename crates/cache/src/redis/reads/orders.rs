//! Pipelined reads under many thousand interleavings: the value of each read was read after the read had begun, and no
//! read waits forever, even when the connection ends.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use shuttle::future::block_on;
use shuttle::sync::atomic::AtomicU8;
use shuttle::thread;

use super::{Pipeline, Read, State};

const ORDERS: usize = 10_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Whole,
    /// Broken: a read gets the reply to a command that was sent before it began.
    JoinsWhatWasSent,
}

/// Takes the part of the task: sends what waits, and answers it, some times.
fn serve(pipeline: &Pipeline, version: &AtomicU8, case: Case) {
    pipeline.enter(State::Up);
    for _ in 0..3 {
        let before = version.load(SeqCst);
        let sent = pipeline.take();
        let read = if case == Case::Whole { version.load(SeqCst) } else { before };
        thread::yield_now();
        for asked in sent {
            let Read::One(_, reader) = asked else { continue };
            // A reader that is gone needs no reply.
            let _ = reader.send(Ok(Some(vec![read].into())));
        }
    }
    pipeline.enter(State::Over);
}

fn in_many_orders(case: Case) {
    shuttle::check_pct(
        move || {
            let pipeline = Arc::new(Pipeline::default());
            let (version, acknowledged) = (Arc::new(AtomicU8::new(1)), Arc::new(AtomicU8::new(1)));
            let mut threads = Vec::new();
            for _ in 0..3 {
                let (pipeline, acknowledged) = (Arc::clone(&pipeline), Arc::clone(&acknowledged));
                threads.push(thread::spawn(move || {
                    let floor = acknowledged.load(SeqCst);
                    if let Some(reply) = block_on(pipeline.get(Bytes::from_static(b"key"))) {
                        assert!(reply.unwrap().unwrap()[0] >= floor, "a stale reply");
                    }
                }));
            }
            let (of_task, of_redis) = (Arc::clone(&pipeline), Arc::clone(&version));
            threads.push(thread::spawn(move || serve(&of_task, &of_redis, case)));
            threads.push(thread::spawn(move || {
                version.store(2, SeqCst);
                acknowledged.store(2, SeqCst);
            }));
            for thread in threads {
                thread.join().unwrap();
            }
            assert!(pipeline.is_over());
        },
        ORDERS,
        3,
    );
}

#[test]
fn value_of_a_read_was_read_after_the_read_began() {
    in_many_orders(Case::Whole);
}

#[test]
#[should_panic(expected = "a stale reply")]
fn read_that_joins_a_sent_command_gets_a_stale_value() {
    in_many_orders(Case::JoinsWhatWasSent);
}
