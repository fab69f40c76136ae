//! Servers with the users of the stack, so that services have the same rights in tests as in the stack. Requires the
//! feature `stack`.

use std::path::Path;

use anyhow::Result;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::{Redis, RedisCluster, Transport};
use crate::server::output;

/// The ACL users of the stack and the script that renders them.
const TEMPLATE: &str = include_str!("../../../../deploy/redis/users.acl.template");
const RENDER: &str = include_str!("../../../../deploy/redis/render-acl");

/// The password of every user except `default`: the tests themselves need none.
const PASSWORD: &str = "of-a-test";

impl Redis {
    /// Starts a server with the users of the stack, and with settings that differ from the defaults.
    pub async fn start_with_users(settings: &[(&str, &str)]) -> Result<Self> {
        let supervisor = Self::supervisor()?;
        let users = users(supervisor.directory()).await?;
        Self::launch(supervisor, Transport::Tcp, &[&[("aclfile", &*users)], settings].concat()).await
    }

    /// Returns the address for the user of a service, which has the same rights as in the stack.
    pub fn url_of(&self, service: &str) -> String {
        format!("redis://{service}:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// Revokes a service's rights on keys of other services, which are their streams.
    pub async fn revoke_stream_access(&self, service: &str) -> Result<()> {
        self.cli(&["ACL", "SETUSER", service, "clearselectors"]).await.map(drop)
    }

    /// Restores the original rights of all users.
    pub async fn restore_users(&self) -> Result<()> {
        self.cli(&["ACL", "LOAD"]).await.map(drop)
    }
}

impl RedisCluster {
    /// Starts a cluster with the users of the stack.
    pub async fn start_with_users() -> Result<Self> {
        Self::start_each(async |folder| Ok(vec![("aclfile", users(folder).await?)])).await
    }

    /// Returns the address for the user of a service, which has the same rights as in the stack.
    pub fn url_of(&self, service: &str) -> String {
        self.url_with(&format!("{service}:{PASSWORD}@"))
    }
}

/// Writes the ACL file, and returns its path.
async fn users(directory: &Path) -> Result<String> {
    // The content is the same for every server of this process.
    static USERS: OnceCell<String> = OnceCell::const_new();
    let users = USERS.get_or_try_init(|| render_users(directory)).await?;
    let file = directory.join("users.acl");
    std::fs::write(&file, users)?;
    Ok(file.to_string_lossy().into_owned())
}

async fn render_users(directory: &Path) -> Result<String> {
    std::fs::write(directory.join("users.acl.template"), TEMPLATE)?;
    let mut render = Command::new("sh");
    // The script looks for the template in its own folder.
    render.arg("-c").arg(RENDER).arg(directory.join("render-acl"));
    for user in ["ADMIN", "PRODUCT_API", "CART", "SEARCH", "RECOMMENDATION"] {
        render.env(format!("REDIS_{user}_PASSWORD"), PASSWORD);
    }
    let users = output(&mut render).await?;
    Ok(users.replacen(&format!("user default reset on >{PASSWORD}"), "user default reset on nopass", 1))
}
