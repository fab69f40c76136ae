//! Tests of the fixtures themselves. All are one binary, so that it is linked once.

mod cleanup;
mod eventually;
mod imports;
mod postgres;
mod process;
mod proxy;
mod redis;
mod temporary_folders;
