//! The user and the password of a connection. Files are read again for each connection, so that they may be changed
//! while the program runs: a new password is used from the next connection on.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::AddressError;

/// The user and the password. Neither is shown by `Debug`.
#[derive(Clone)]
pub struct Credentials {
    user: Credential,
    password: Credential,
}

#[derive(Clone)]
enum Credential {
    None,
    Fixed(String),
    File(PathBuf),
}

impl Credentials {
    pub(crate) fn new(
        url: &Url, user_file: Option<PathBuf>, password_file: Option<PathBuf>,
    ) -> Result<Self, AddressError> {
        let user = Credential::new(url.username(), user_file)?;
        let password = Credential::new(url.password().unwrap_or_default(), password_file)?;
        Ok(Self { user, password })
    }

    /// Returns credentials that come only from files.
    pub(crate) fn from_files(user: Option<PathBuf>, password: Option<PathBuf>) -> Result<Self, AddressError> {
        Ok(Self { user: Credential::new("", user)?, password: Credential::new("", password)? })
    }

    /// Returns the user and the password as they are now; `None` for a user that has no password.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read.
    pub async fn current(&self) -> Result<Option<(String, String)>, AddressError> {
        let (user, password) = (self.user.current().await?, self.password.current().await?);
        Ok(password.map(|password| (user.unwrap_or_else(|| "default".to_owned()), password)))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credential {
    fn new(in_url: &str, file: Option<PathBuf>) -> Result<Self, AddressError> {
        if let Some(path) = file {
            return match std::fs::read_to_string(&path) {
                Ok(_) => Ok(Self::File(path)),
                Err(error) => Err(AddressError::File { path, reason: error.to_string() }),
            };
        }
        let text = percent_decode_str(in_url).decode_utf8().map_err(|error| AddressError::Url(error.to_string()))?;
        Ok(if text.is_empty() { Self::None } else { Self::Fixed(text.into_owned()) })
    }

    async fn current(&self) -> Result<Option<String>, AddressError> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(text) => Ok(Some(text.clone())),
            Self::File(path) => {
                let text = tokio::fs::read_to_string(path)
                    .await
                    .map_err(|error| AddressError::File { path: path.clone(), reason: error.to_string() })?;
                // Editors and `echo` end a file with a line break.
                let text = text.trim_end_matches(['\r', '\n']);
                Ok((!text.is_empty()).then(|| text.to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::RedisAddress;

    fn pair(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.to_owned(), password.to_owned()))
    }

    #[tokio::test]
    async fn escapes_of_the_url_are_resolved() {
        for (url, expected) in [
            ("redis://shop:p%40ss%3A@host", pair("shop", "p@ss:")),
            ("redis://:word@host", pair("default", "word")),
            ("redis://shop@host", None),
            ("redis://host", None),
        ] {
            let address = RedisAddress::parse(url).unwrap();
            assert_eq!(address.credentials().current().await.unwrap(), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn files_are_read_each_time_and_win_over_the_url() {
        let folder = tempfile::tempdir().unwrap();
        let (user, password) = (folder.path().join("user"), folder.path().join("password"));
        std::fs::write(&user, "shop\n").unwrap();
        std::fs::write(&password, "first\r\n").unwrap();
        let url = format!("redis://other:word@host?user_file={}&password_file={}", user.display(), password.display());
        let address = RedisAddress::parse(&url).unwrap();
        let credentials = address.credentials();
        assert_eq!(credentials.current().await.unwrap(), pair("shop", "first"));
        std::fs::write(&password, "second").unwrap();
        assert_eq!(credentials.current().await.unwrap(), pair("shop", "second"));
        std::fs::remove_file(&password).unwrap();
        let error = credentials.current().await.unwrap_err().to_string();
        assert!(error.contains(&password.display().to_string()), "{error}");
        assert_eq!(RedisAddress::parse(&url).unwrap_err().to_string(), error, "a missing file fails the start, too");
    }
}
