//! A repository's caches through GitHub's ordinary interface: what the cache service itself cannot do.

use std::collections::HashMap;

use bytes::Bytes;
use reqwest::header::ACCEPT;
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::Repository;
use super::keys::Keys;
use crate::blobs::{BlobError, Listed, Name};
use crate::http::{self, Http};
use crate::secret::{Secret, quoted};

/// The longest page that is read: a hundred caches.
const MAX_PAGE_BYTES: u64 = 4 << 20;
const CACHES_ON_A_PAGE: usize = 100;
/// More pages than 10 GB of caches have.
const MAX_PAGES: usize = 1000;

/// The interface, for one repository.
pub(super) struct Rest {
    http: Http,
    caches: Url,
    token: Secret,
}

#[derive(Deserialize)]
struct Page {
    actions_caches: Vec<Cache>,
}

#[derive(Deserialize)]
struct Cache {
    id: u64,
    key: String,
    size_in_bytes: u64,
    created_at: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fault {
    message: String,
}

impl Rest {
    pub(super) fn new(http: Http, repository: &Repository) -> Result<Self, BlobError> {
        let Repository {
            api_url,
            name,
            token,
        } = repository;
        let is_plain = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let caches = match name.split_once('/') {
            Some((owner, rest)) if is_plain(owner) && is_plain(rest) => Url::parse(&format!(
                "{}/repos/{name}/actions/caches",
                api_url.trim_end_matches('/')
            ))
            .map_err(|error| BlobError::Refused(format!("GITHUB_API_URL: {error}")))?,
            _ => {
                return Err(BlobError::Refused(
                    "GITHUB_REPOSITORY is no `owner/name`".into(),
                ));
            }
        };
        Ok(Self {
            http,
            caches,
            token: token.clone(),
        })
    }

    /// All blobs whose names begin so; of one with versions, the newest.
    pub(super) async fn list(&self, keys: &Keys, prefix: &str) -> Result<Vec<Listed>, BlobError> {
        let mut newest: HashMap<Name, Listed> = HashMap::new();
        for cache in self.all(&keys.whole(prefix)).await? {
            let Some(name) = keys.name(&cache.key) else {
                continue;
            };
            if !name.as_str().starts_with(prefix) {
                continue;
            }
            let listed = Listed {
                name: name.clone(),
                size: cache.size_in_bytes,
                written_ms: cache.created_at.as_deref().and_then(unix_ms),
            };
            let known = newest.entry(name).or_insert_with(|| listed.clone());
            if known.written_ms < listed.written_ms {
                *known = listed;
            }
        }
        Ok(newest.into_values().collect())
    }

    /// Removes a blob, all its versions, in all scopes.
    pub(super) async fn remove(&self, keys: &Keys, name: &Name) -> Result<(), BlobError> {
        for cache in self.all(&keys.whole(name.as_str())).await? {
            if keys.name(&cache.key).as_ref() == Some(name) {
                let mut address = self.caches.clone();
                address.set_path(&format!("{}/{}", self.caches.path(), cache.id));
                let response = self.send(Method::DELETE, address).await?;
                if !response.status().is_success() && response.status() != StatusCode::NOT_FOUND {
                    return Err(self.failure(response).await);
                }
            }
        }
        Ok(())
    }

    async fn all(&self, key: &str) -> Result<Vec<Cache>, BlobError> {
        let mut caches = Vec::new();
        for page in 1..=MAX_PAGES {
            let mut address = self.caches.clone();
            address
                .query_pairs_mut()
                .append_pair("key", key)
                .append_pair("per_page", &CACHES_ON_A_PAGE.to_string())
                .append_pair("page", &page.to_string());
            let response = self.send(Method::GET, address).await?;
            if response.status() != StatusCode::OK {
                return Err(self.failure(response).await);
            }
            let bytes = self.http.body(response, MAX_PAGE_BYTES).await?;
            let Page { actions_caches } = serde_json::from_slice(&bytes)
                .map_err(|_| BlobError::Nonsense("it is not a list of caches".into()))?;
            let is_last = actions_caches.len() < CACHES_ON_A_PAGE;
            caches.extend(actions_caches);
            if is_last {
                return Ok(caches);
            }
        }
        Err(BlobError::Nonsense(
            "its list of caches does not end".into(),
        ))
    }

    async fn send(&self, method: Method, address: Url) -> Result<Response, BlobError> {
        let request = self
            .http
            .request(method, address)
            .bearer_auth(self.token.reveal())
            .header(ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28");
        self.http.send(request, Bytes::new()).await
    }

    async fn failure(&self, response: Response) -> BlobError {
        let status = response.status();
        let after = http::retry_after(&response);
        let used_up = response
            .headers()
            .get("x-ratelimit-remaining")
            .is_some_and(|left| left == "0");
        let said = self
            .http
            .body(response, MAX_PAGE_BYTES)
            .await
            .ok()
            .and_then(|body| serde_json::from_slice::<Fault>(&body).ok())
            .unwrap_or_default();
        // GitHub says 403 also where too much was asked.
        if status == StatusCode::FORBIDDEN && (used_up || after.is_some()) {
            return BlobError::Throttled { after };
        }
        match http::failure(status, after, &quoted(&said.message, Some(&self.token))) {
            // A token that may not see a repository is told that there is none.
            BlobError::Missing => {
                BlobError::Denied("there is no such repository for GITHUB_TOKEN".into())
            }
            error => error,
        }
    }
}

/// Milliseconds since 1970 of a time such as `2026-11-26T17:12:56.123Z`.
fn unix_ms(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let hours: u64 = time.next()?.parse().ok()?;
    let minutes: u64 = time.next()?.parse().ok()?;
    let (seconds, fraction) = time.next().map(|s| s.split_once('.').unwrap_or((s, "0")))?;
    let seconds: u64 = seconds.parse().ok()?;
    let thousandths: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let is_date =
        (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_date || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    // Years that begin with March have their leap day last.
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + thousandths)
}

#[cfg(test)]
mod tests {
    use super::unix_ms;

    #[test]
    fn times() {
        assert_eq!(unix_ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(unix_ms("2000-02-29T00:00:00Z"), Some(951_782_400_000));
        assert_eq!(unix_ms("2019-01-24T22:45:36.000Z"), Some(1_548_369_936_000));
        assert_eq!(
            unix_ms("2026-11-26T17:12:56.1234567Z"),
            Some(1_795_713_176_123)
        );
        for bad in [
            "",
            "2026-11-26",
            "2026-13-01T00:00:00Z",
            "2026-11-26T17:12:56",
        ] {
            assert_eq!(unix_ms(bad), None, "{bad}");
        }
    }
}
