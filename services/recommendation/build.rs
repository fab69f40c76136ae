//! The migrations are compiled in, so a new migration must trigger a build.
fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
