//! Codecs: how the values of a cache become the bytes that are stored. JSON is the default; a cache has another one if it was
//! made by [`CacheClient::cache_with`](crate::CacheClient::cache_with).
//!
//! A codec is a type without values. A program can have its own: it implements [`Encode`] and [`Decode`] for it, for all types
//! or for some.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value that a codec cannot encode, or bytes that it cannot decode.
#[derive(Clone, Debug)]
pub struct CodecError(Arc<dyn Error + Send + Sync>);

/// Encodes values of type `T`.
pub trait Encode<T> {
    /// Returns the bytes that are stored.
    ///
    /// # Errors
    /// Returns an error when the value has no encoding; the load fails with it.
    fn encode(value: &T) -> Result<Vec<u8>, CodecError>;
}

/// Decodes values of type `T`.
pub trait Decode<T> {
    /// Returns the value.
    ///
    /// # Errors
    /// Returns an error when the bytes encode no `T`, for example because another version of the program stored them.
    fn decode(bytes: &[u8]) -> Result<T, CodecError>;
}

/// JSON, which an HTTP handler can send as it is stored.
#[derive(Clone, Copy, Debug)]
pub enum Json {}

/// [MessagePack](https://msgpack.org) with the names of the fields, so that a field can be added.
#[cfg(feature = "messagepack")]
#[derive(Clone, Copy, Debug)]
pub enum MessagePack {}

/// [postcard](https://postcard.jamesmunns.com/wire-format.html): the shortest, without names. Each change of the type needs a new
/// [schema](crate::Values::schema).
#[cfg(feature = "postcard")]
#[derive(Clone, Copy, Debug)]
pub enum Postcard {}

impl<T: Serialize> Encode<T> for Json {
    fn encode(value: &T) -> Result<Vec<u8>, CodecError> {
        serde_json::to_vec(value).map_err(CodecError::new)
    }
}

impl<T: DeserializeOwned> Decode<T> for Json {
    fn decode(bytes: &[u8]) -> Result<T, CodecError> {
        serde_json::from_slice(bytes).map_err(CodecError::new)
    }
}

#[cfg(feature = "messagepack")]
impl<T: Serialize> Encode<T> for MessagePack {
    fn encode(value: &T) -> Result<Vec<u8>, CodecError> {
        rmp_serde::to_vec_named(value).map_err(CodecError::new)
    }
}

#[cfg(feature = "messagepack")]
impl<T: DeserializeOwned> Decode<T> for MessagePack {
    fn decode(bytes: &[u8]) -> Result<T, CodecError> {
        rmp_serde::from_slice(bytes).map_err(CodecError::new)
    }
}

#[cfg(feature = "postcard")]
impl<T: Serialize> Encode<T> for Postcard {
    fn encode(value: &T) -> Result<Vec<u8>, CodecError> {
        postcard::to_stdvec(value).map_err(CodecError::new)
    }
}

#[cfg(feature = "postcard")]
impl<T: DeserializeOwned> Decode<T> for Postcard {
    fn decode(bytes: &[u8]) -> Result<T, CodecError> {
        // Bytes that are left over were not written for this type.
        match postcard::take_from_bytes(bytes).map_err(CodecError::new)? {
            (value, []) => Ok(value),
            (_, rest) => Err(CodecError::new(format!("{} bytes are left over", rest.len()))),
        }
    }
}

impl CodecError {
    /// Wraps the error of a codec.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(error.into()))
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for CodecError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
