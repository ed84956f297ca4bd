//! Redis, and what speaks like it.
//!
//! Not through opendal, which asks for a value's length before each part of it, cannot list, and cannot write once: here a
//! read is `GET` or `GETRANGE`, a search one `MGET`, a write `SET`, with `NX` for [`Kind::Once`]. One connection
//! carries all; one that broke is replaced at the next call.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue,
    IntoConnectionInfo, Pipeline, RedisConnectionInfo, RedisError,
};
use tokio::sync::Mutex;

use crate::address::Redis;
use crate::blobs::{BlobError, Blobs, Kind, Listed, Name, Written};
use crate::open::OpenError;
use crate::traffic::Traffic;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// Redis's own limit for a value, unless its configuration says otherwise.
const LARGEST_BYTES: usize = 512 << 20;
/// How many keys one step of a list looks at.
const SCANNED: usize = 1_000;
/// The most blobs that a list may have.
const MAX_LISTED: usize = 1_000_000;

/// A Redis server's database.
pub(crate) struct RedisBlobs {
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
    prefix: String,
    ttl: Option<Duration>,
    traffic: Arc<Traffic>,
}

impl RedisBlobs {
    /// Takes the address; connects at the first call.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn new(address: &Redis, traffic: Arc<Traffic>) -> Result<Self, OpenError> {
        crate::tls::install();
        let host = address.host.trim_matches(['[', ']']).to_owned();
        let port = address.port;
        let place = if address.tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let mut settings = RedisConnectionInfo::default().set_db(address.database);
        if let Some(user) = &address.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &address.password {
            settings = settings.set_password(password.reveal());
        }
        let client = place
            .into_connection_info()
            .and_then(|info| Client::open(info.set_redis_settings(settings)))
            .map_err(|_| OpenError::Incomplete {
                what: "the address of the Redis server",
                hint: "it looks like `redis://host:6379/0`",
            })?;
        let prefix = match address.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Ok(Self {
            client,
            connection: Mutex::default(),
            prefix,
            ttl: address.ttl,
            traffic,
        })
    }

    async fn connection(&self) -> Result<MultiplexedConnection, BlobError> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(None);
        let made = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        let connection = made.map_err(|error| failed(&error))?;
        *kept = Some(connection.clone());
        Ok(connection)
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd, sent: usize) -> Result<T, BlobError> {
        self.traffic.asked(sent as u64);
        let mut connection = self.connection().await?;
        let answer = command.query_async(&mut connection).await;
        self.judged(answer).await
    }

    async fn judged<T>(&self, answer: Result<T, RedisError>) -> Result<T, BlobError> {
        match answer {
            Ok(value) => Ok(value),
            Err(error) => {
                if error.is_unrecoverable_error() || error.is_io_error() {
                    *self.connection.lock().await = None;
                }
                Err(failed(&error))
            }
        }
    }

    fn key(&self, name: &Name) -> String {
        format!("{}{name}", self.prefix)
    }

    fn came(&self, bytes: Vec<u8>) -> Result<Bytes, BlobError> {
        self.traffic.came(bytes.len() as u64);
        if bytes.len() > LARGEST_BYTES {
            return Err(BlobError::Nonsense(
                "it is longer than a value can be".to_owned(),
            ));
        }
        Ok(bytes.into())
    }

    async fn keys(&self, prefix: &str) -> Result<BTreeSet<String>, BlobError> {
        let pattern = format!("{}*", literal(&format!("{}{prefix}", self.prefix)));
        // What is written meanwhile may be told twice.
        let mut keys = BTreeSet::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(SCANNED);
            let (next, some): (u64, Vec<Vec<u8>>) = self.ask(&scan, 0).await?;
            // Who else uses the database may have keys that are no text.
            keys.extend(
                some.into_iter()
                    .filter_map(|key| String::from_utf8(key).ok()),
            );
            if keys.len() > MAX_LISTED {
                let why = format!("there are more than {MAX_LISTED} blobs");
                return Err(BlobError::Nonsense(why));
            }
            if next == 0 {
                return Ok(keys);
            }
            cursor = next;
        }
    }

    async fn sizes(&self, keys: &[&String]) -> Result<Vec<u64>, BlobError> {
        let mut pipeline = Pipeline::new();
        for key in keys {
            pipeline.cmd("STRLEN").arg(key);
        }
        self.traffic.asked(0);
        let mut connection = self.connection().await?;
        let answer = pipeline.query_async(&mut connection).await;
        let sizes: Vec<u64> = self.judged(answer).await?;
        if sizes.len() == keys.len() {
            Ok(sizes)
        } else {
            Err(BlobError::Nonsense("a length is missing".to_owned()))
        }
    }
}

#[async_trait]
impl Blobs for RedisBlobs {
    fn forgets(&self) -> bool {
        true
    }

    async fn read(&self, name: &Name, range: Option<Range<u64>>) -> Result<Bytes, BlobError> {
        let key = self.key(name);
        let Some(range) = range else {
            let found: Option<Vec<u8>> = self.ask(redis::cmd("GET").arg(key), 0).await?;
            return self.came(found.ok_or(BlobError::Missing)?);
        };
        if range.is_empty() {
            let is_there: bool = self.ask(redis::cmd("EXISTS").arg(key), 0).await?;
            return is_there.then(Bytes::new).ok_or(BlobError::Missing);
        }
        let mut part = redis::cmd("GETRANGE");
        part.arg(key).arg(range.start).arg(range.end - 1);
        // Of a missing value it is empty.
        let bytes = self.came(self.ask(&part, 0).await?)?;
        match (bytes.len() as u64).cmp(&(range.end - range.start)) {
            std::cmp::Ordering::Less => Err(BlobError::Missing),
            std::cmp::Ordering::Equal => Ok(bytes),
            std::cmp::Ordering::Greater => Err(BlobError::Nonsense(
                "it is longer than what was asked for".to_owned(),
            )),
        }
    }

    async fn find(&self, names: &[Name]) -> Result<Option<(usize, Bytes)>, BlobError> {
        if names.is_empty() {
            return Ok(None);
        }
        let keys: Vec<String> = names.iter().map(|name| self.key(name)).collect();
        let found: Vec<Option<Vec<u8>>> = self.ask(redis::cmd("MGET").arg(keys), 0).await?;
        if found.len() != names.len() {
            return Err(BlobError::Nonsense(
                "it is not as many as were asked for".to_owned(),
            ));
        }
        let first = found
            .into_iter()
            .enumerate()
            .find_map(|(index, bytes)| Some((index, bytes?)));
        match first {
            Some((index, bytes)) => Ok(Some((index, self.came(bytes)?))),
            None => Ok(None),
        }
    }

    async fn write(&self, name: &Name, bytes: Bytes, kind: Kind) -> Result<Written, BlobError> {
        if bytes.len() > LARGEST_BYTES {
            return Err(BlobError::Refused(
                "it is longer than a value can be".to_owned(),
            ));
        }
        let mut set = redis::cmd("SET");
        set.arg(self.key(name)).arg(&bytes[..]);
        if let Some(ttl) = self.ttl {
            set.arg("EX").arg(ttl.as_secs());
        }
        if kind == Kind::Once {
            set.arg("NX");
        }
        let done: Option<String> = self.ask(&set, bytes.len()).await?;
        Ok(match done {
            Some(_) => Written::New,
            None => Written::Present,
        })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, BlobError> {
        let keys = self.keys(prefix).await?;
        let named: Vec<(Name, &String)> = keys
            .iter()
            .filter_map(|key| Some((Name::new(key.strip_prefix(&self.prefix)?).ok()?, key)))
            .collect();
        let mut listed = Vec::with_capacity(named.len());
        for some in named.chunks(SCANNED) {
            let keys: Vec<&String> = some.iter().map(|(_, key)| *key).collect();
            let sizes = self.sizes(&keys).await?;
            listed.extend(some.iter().zip(sizes).map(|((name, _), size)| Listed {
                name: name.clone(),
                size,
                written_ms: None,
            }));
        }
        Ok(listed)
    }

    async fn remove(&self, name: &Name) -> Result<(), BlobError> {
        let _: u64 = self.ask(redis::cmd("DEL").arg(self.key(name)), 0).await?;
        Ok(())
    }
}

/// A text as a pattern that only it matches.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if "*?[]\\^".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// The server's word for it is shown, and nothing else that it said.
fn failed(error: &RedisError) -> BlobError {
    let code = error.code().unwrap_or_default();
    match (error.kind(), code) {
        (ErrorKind::AuthenticationFailed, _) | (_, "NOAUTH" | "WRONGPASS" | "NOPERM") => {
            BlobError::Denied("user or password are not right, or may not do this".to_owned())
        }
        (_, "READONLY") => BlobError::Denied("this server is only read".to_owned()),
        (_, "OOM") => BlobError::Refused("it is full".to_owned()),
        (_, "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY") => {
            BlobError::Unavailable(format!("it says {code}"))
        }
        (_, "MOVED" | "ASK" | "CROSSSLOT") => {
            BlobError::Refused("it is a cluster; name a server that is none".to_owned())
        }
        (_, "WRONGTYPE") => BlobError::Nonsense("the key holds something else".to_owned()),
        (ErrorKind::Parse | ErrorKind::UnexpectedReturnType, _) => {
            BlobError::Nonsense("an answer could not be read".to_owned())
        }
        _ if error.is_connection_refusal() => {
            BlobError::Unavailable("no connection comes about".to_owned())
        }
        (ErrorKind::Io, _) => BlobError::Unavailable("the connection broke off".to_owned()),
        (ErrorKind::Server(_) | ErrorKind::Extension, _) => {
            BlobError::Refused("the server gave an error".to_owned())
        }
        _ => BlobError::Unavailable("the connection does not work".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn patterns_match_only_their_text() {
        assert_eq!(literal("a/b-1_2."), "a/b-1_2.");
        assert_eq!(literal("a*[b]?\\"), "a\\*\\[b\\]\\?\\\\");
    }
}
