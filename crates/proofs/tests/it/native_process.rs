//! The native stack's check whether a process runs. A wrong negative aborts a start that is going well.

use std::process::Command;

/// Runs `script` in bash, with the functions of the stack.
fn bash(script: &str) -> String {
    let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
    let prelude = format!("set -euo pipefail; . '{deploy}/lib.sh'; . '{deploy}/native/process.sh';");
    let done = Command::new("bash").args(["-c", &(prelude + script)]).output().expect("bash starts");
    assert!(done.status.success(), "{script}\n{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn process_counts_as_running_after_exec() {
    let denials = bash(
        "denials=0
         for ((i = 0; i < 300; i++)); do
           setsid sleep 30 & pid=$!
           for ((look = 0; look < 8; look++)); do is_running $pid || : $((denials += 1)); done
           kill -KILL $pid && wait $pid 2>/dev/null || true
         done
         echo $denials",
    );
    assert_eq!(denials.trim(), "0", "of 2,400 looks at a process that ran");
}

#[test]
fn zombie_process_does_not_count_as_running() {
    let said = bash(
        // The parent becomes a program that never waits for its child.
        "{ read -r parent; read -r child; } < <(bash -c 'echo $$; sleep 0.3 & echo $!; exec sleep 30 >&-')
         while is_running $child; do sleep 0.01; done
         grep '^State:' /proc/$child/status
         is_running $parent && kill -KILL $parent
         while is_running $parent; do sleep 0.01; done",
    );
    assert!(said.contains("zombie"), "{said}");
}
