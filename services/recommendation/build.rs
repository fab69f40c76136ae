//! The migrations are compiled in: a new one has to cause a build.
fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
