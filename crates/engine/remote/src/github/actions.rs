//! What GitHub knows of a repository's runs of workflows: `GET /repos/{owner}/{repo}/actions/runs` and `…/runs/{id}/jobs`,
//! handed on as they come.
//!
//! Nothing is asked twice: runs whose jobs were read are [`Known`], and so is the `ETag` of the newest page, so that where
//! nothing is new one question that counts against no limit says so. Questions come one after the other, as GitHub asks for, and
//! only with `GET`. Where GitHub says that too much was asked, it is waited for as long as it says, up to [`PATIENCE`]; else what
//! came until then is handed on, and the next time goes on from there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rekindle_base::{Clock, parse_utc, progress};
use reqwest::header::{ACCEPT, ETAG, HeaderMap, IF_NONE_MATCH};
use reqwest::{Method, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::blobs::BlobError;
use crate::http::{self, Http};
use crate::secret::{Secret, quoted};
use crate::traffic::Traffic;

/// Where the interface is, unless `GITHUB_API_URL` says otherwise.
pub const API: &str = "https://api.github.com";

/// The longest page that is read: a hundred jobs, each with a hundred steps, are 5 MB.
const MAX_PAGE_BYTES: u64 = 32 << 20;
const ON_A_PAGE: usize = 100;
/// Pages of runs, and of one run's jobs, that are read at most.
const MAX_PAGES: usize = 100;
/// What is asked in one go at most: a token has 1,000 questions an hour in a job, 5,000 elsewhere.
const MAX_REQUESTS: u64 = 800;
/// No single answer is waited for longer.
const ANSWER: Duration = Duration::from_secs(30);
/// The longest wait that GitHub may ask for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tries of one question.
const TRIES: u32 = 3;
/// Runs that are remembered; older ones are older than what anybody asks for.
const KNOWN_MAX: usize = 20_000;

/// Who asks for what.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where the interface is, as in [`API`].
    pub api_url: String,
    /// `owner/name`.
    pub repository: String,
    /// Without one only public repositories answer, sixty times an hour.
    pub token: Option<Secret>,
}

/// What was read before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// The newest page's `ETag`, where all behind it was read.
    pub etag: Option<String>,
    /// From when on all was read: milliseconds since 1970.
    pub since_ms: u64,
    /// Runs whose jobs were read, with the time of their last change.
    pub runs: BTreeMap<u64, String>,
}

/// What came.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The answers, each with what it was asked for.
    pub documents: Vec<(String, Bytes)>,
    /// Runs whose jobs came.
    pub runs: u64,
    /// Why it ended before all was read, for people.
    pub stopped: Option<String>,
}

/// Why nothing came.
#[derive(Debug, thiserror::Error)]
pub enum ActionsError {
    /// The name is none.
    #[error("`{0}` is no repository; write `OWNER/NAME`")]
    Name(String),
    /// The address is none, or would show the token to others.
    #[error("`GITHUB_API_URL` is {0}")]
    Address(String),
    /// It is not there, or not for this token.
    #[error(
        "GitHub has no repository `{0}` for this token; set GITHUB_TOKEN to one that may read its actions"
    )]
    Missing(String),
    /// It moved.
    #[error("`{0}` has another name now; write that one")]
    Moved(String),
    /// GitHub refuses.
    #[error(
        "GitHub refuses: {0}; set GITHUB_TOKEN to a token that may read the repository's actions"
    )]
    Denied(String),
    /// There is no answer.
    #[error("GitHub does not answer: {0}; try again later")]
    Unavailable(String),
}

#[derive(Deserialize)]
struct Runs {
    workflow_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    status: Option<String>,
    created_at: String,
    updated_at: String,
}

#[derive(Deserialize)]
struct Jobs {
    jobs: Vec<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fault {
    message: String,
}

/// What one question came to.
enum Answer {
    Came(Bytes, HeaderMap),
    /// As it was.
    Same,
    /// GitHub wants to be left alone for longer than we wait.
    Later(String),
}

/// Reads runs that ended since `since_ms` and are not `known`, newest first, and notes them there.
///
/// # Errors
/// [`ActionsError`] where nothing came. What fails later only ends it: see [`Answers::stopped`].
pub fn read(
    access: &Access,
    known: &mut Known,
    since_ms: u64,
    (handle, clock): (&Handle, &dyn Clock),
) -> Result<Answers, ActionsError> {
    let mut reader = Reader::new(access, clock)?;
    handle.block_on(reader.read(known, since_ms))
}

struct Reader<'a> {
    http: Http,
    runs: Url,
    access: &'a Access,
    clock: &'a dyn Clock,
    asked: u64,
}

impl<'a> Reader<'a> {
    fn new(access: &'a Access, clock: &'a dyn Clock) -> Result<Self, ActionsError> {
        let http = Http::new(Arc::new(Traffic::default())).map_err(|error| unavailable(&error))?;
        Ok(Self {
            http,
            runs: address(access)?,
            access,
            clock,
            asked: 0,
        })
    }

    async fn read(&mut self, known: &mut Known, since_ms: u64) -> Result<Answers, ActionsError> {
        let mut answers = Answers::default();
        let mut newest = None;
        // What was asked for further back than ever before is not behind the page that is known.
        let etag = known.etag.take().filter(|_| known.since_ms <= since_ms);
        for page in 1..=MAX_PAGES {
            let etag = etag.as_deref().filter(|_| page == 1);
            let name = format!("runs, page {page}");
            let asked = self.ask(paged(&self.runs, page), etag).await;
            let (bytes, headers) = match asked {
                Ok(Answer::Came(bytes, headers)) => (bytes, headers),
                Ok(Answer::Same) => {
                    known.etag = etag.map(ToOwned::to_owned);
                    return Ok(answers);
                }
                Ok(Answer::Later(why)) => return Ok(answers.stopped(why)),
                Err(error) if page == 1 => return Err(error),
                Err(error) => return Ok(answers.stopped(error.to_string())),
            };
            if page == 1 {
                let etag = headers.get(ETAG).and_then(|etag| etag.to_str().ok());
                newest = etag.map(ToOwned::to_owned);
            }
            let Runs { workflow_runs } = serde_json::from_slice(&bytes)
                .map_err(|_| ActionsError::Unavailable("it sent no list of runs".to_owned()))?;
            answers.documents.push((name, bytes));
            let is_old =
                |run: &Run| parse_utc(&run.created_at).is_some_and(|created| created < since_ms);
            let is_last = workflow_runs.len() < ON_A_PAGE || workflow_runs.iter().any(is_old);
            let wanted = workflow_runs.iter().filter(|run| {
                run.status.as_deref() == Some("completed")
                    && !is_old(run)
                    && known.runs.get(&run.id) != Some(&run.updated_at)
            });
            let wanted: Vec<&Run> = wanted.collect();
            progress().expect(wanted.len() as u64);
            for run in wanted {
                if let Some(why) = self.jobs(run.id, &mut answers).await {
                    return Ok(answers.stopped(why));
                }
                answers.runs += 1;
                known.runs.insert(run.id, run.updated_at.clone());
                progress().did(1);
            }
            if is_last {
                break;
            }
        }
        while known.runs.len() > KNOWN_MAX {
            known.runs.pop_first();
        }
        (known.etag, known.since_ms) = (newest, since_ms);
        Ok(answers)
    }

    /// The jobs of a run; why they did not come. Of half a run nothing is kept.
    async fn jobs(&mut self, id: u64, answers: &mut Answers) -> Option<String> {
        let mut jobs = self.runs.clone();
        jobs.set_path(&format!("{}/{id}/jobs", self.runs.path()));
        let mut documents = Vec::new();
        for page in 1..=MAX_PAGES {
            let bytes = match self.ask(paged(&jobs, page), None).await {
                Ok(Answer::Came(bytes, _)) => bytes,
                Ok(Answer::Later(why)) => return Some(why),
                Ok(Answer::Same) => break,
                // It was removed since.
                Err(ActionsError::Missing(_)) => return None,
                Err(error) => return Some(error.to_string()),
            };
            let Ok(Jobs { jobs }) = serde_json::from_slice(&bytes) else {
                return Some("GitHub sent no list of jobs".to_owned());
            };
            documents.push((format!("run {id}, page {page}"), bytes));
            if jobs.len() < ON_A_PAGE {
                break;
            }
        }
        answers.documents.extend(documents);
        None
    }

    /// Asks, again where that may help.
    async fn ask(&mut self, address: Url, etag: Option<&str>) -> Result<Answer, ActionsError> {
        let mut last = BlobError::Unavailable(String::new());
        for attempt in 0..TRIES {
            if self.asked >= MAX_REQUESTS {
                let why = format!("{MAX_REQUESTS} questions are enough for once");
                return Ok(Answer::Later(why));
            }
            self.asked += 1;
            let answer = tokio::time::timeout(ANSWER, self.once(address.clone(), etag)).await;
            let answer =
                answer.unwrap_or_else(|_| Err(BlobError::Unavailable("it takes too long".into())));
            match answer {
                Ok(answer) => return Ok(answer),
                Err(BlobError::Throttled { after }) => {
                    let after = after.unwrap_or(PATIENCE);
                    if after > PATIENCE || attempt + 1 == TRIES {
                        return Ok(Answer::Later(limited(after)));
                    }
                    tokio::time::sleep(after).await;
                }
                Err(BlobError::Unavailable(why)) => {
                    last = BlobError::Unavailable(why);
                    tokio::time::sleep(Duration::from_millis(250 << attempt)).await;
                }
                Err(BlobError::Missing) => {
                    return Err(ActionsError::Missing(self.access.repository.clone()));
                }
                Err(BlobError::Denied(why) | BlobError::Refused(why)) => {
                    return Err(ActionsError::Denied(why));
                }
                Err(BlobError::Nonsense(_)) => {
                    return Err(ActionsError::Moved(self.access.repository.clone()));
                }
                Err(error) => return Err(unavailable(&error)),
            }
        }
        Err(unavailable(&last))
    }

    async fn once(&self, address: Url, etag: Option<&str>) -> Result<Answer, BlobError> {
        let mut request = self
            .http
            .request(Method::GET, address)
            .header(ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28");
        if let Some(token) = &self.access.token {
            request = request.bearer_auth(token.reveal());
        }
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = self.http.send(request, Bytes::new()).await?;
        match response.status() {
            StatusCode::OK => {
                let headers = response.headers().clone();
                let bytes = self.http.body(response, MAX_PAGE_BYTES).await?;
                progress().moved(bytes.len() as u64);
                Ok(Answer::Came(bytes, headers))
            }
            StatusCode::NOT_MODIFIED => Ok(Answer::Same),
            _ => Err(self.failure(response).await),
        }
    }

    async fn failure(&self, response: Response) -> BlobError {
        let status = response.status();
        let after = wait(response.headers(), self.clock.now().0);
        let said = self.http.body(response, MAX_PAGE_BYTES).await.ok();
        let said = said.and_then(|body| serde_json::from_slice::<Fault>(&body).ok());
        let said = quoted(
            &said.unwrap_or_default().message,
            self.access.token.as_ref(),
        );
        match status {
            // GitHub says 403 also where too much was asked.
            StatusCode::FORBIDDEN if after.is_some() => BlobError::Throttled { after },
            _ => http::failure(status, after, &said),
        }
    }
}

impl Answers {
    fn stopped(mut self, why: String) -> Self {
        self.stopped = Some(why);
        self
    }
}

fn unavailable(error: &BlobError) -> ActionsError {
    ActionsError::Unavailable(error.to_string())
}

fn limited(after: Duration) -> String {
    let minutes = after.as_secs().div_ceil(60);
    format!("GitHub wants to be asked no more for {minutes} min")
}

/// The address of a repository's runs. A token is not sent in clear to another machine.
fn address(access: &Access) -> Result<Url, ActionsError> {
    let name = &access.repository;
    let is_plain = |part: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
    };
    let is_name = name
        .split_once('/')
        .is_some_and(|(owner, rest)| is_plain(owner) && is_plain(rest));
    if !is_name {
        return Err(ActionsError::Name(name.clone()));
    }
    let api = access.api_url.trim_end_matches('/');
    let url = Url::parse(&format!("{api}/repos/{name}/actions/runs"))
        .map_err(|_| ActionsError::Address("no address".to_owned()))?;
    let is_here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here || access.token.is_none() => Ok(url),
        _ => Err(ActionsError::Address(
            "not encrypted, and would show the token to others: write `https`".to_owned(),
        )),
    }
}

fn paged(url: &Url, page: usize) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut()
        .append_pair("per_page", &ON_A_PAGE.to_string())
        .append_pair("page", &page.to_string());
    url
}

/// How long GitHub asks to be left alone: `Retry-After`, else until its count begins anew where that is used up.
fn wait(headers: &HeaderMap, now_ms: u64) -> Option<Duration> {
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    if let Some(seconds) = number("retry-after") {
        return Some(Duration::from_secs(seconds));
    }
    (number("x-ratelimit-remaining")? == 0).then(|| {
        let reset_ms = number("x-ratelimit-reset")
            .unwrap_or(0)
            .saturating_mul(1000);
        Duration::from_millis(reset_ms.saturating_sub(now_ms))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(api_url: &str, repository: &str, token: Option<&str>) -> Access {
        Access {
            api_url: api_url.to_owned(),
            repository: repository.to_owned(),
            token: token.map(Secret::new),
        }
    }

    #[test]
    fn where_runs_are() {
        let of = |api: &str, name: &str, token| {
            let address = address(&access(api, name, token));
            address
                .map(|url| url.to_string())
                .map_err(|e| e.to_string())
        };
        let token = Some("t0ken");
        assert_eq!(
            of(API, "acme/app", token).unwrap(),
            "https://api.github.com/repos/acme/app/actions/runs"
        );
        assert_eq!(
            of("https://git.acme.org/api/v3/", "a/b", token).unwrap(),
            "https://git.acme.org/api/v3/repos/a/b/actions/runs"
        );
        assert!(of("http://127.0.0.1:8080", "a/b", token).is_ok());
        let open = of("http://git.acme.org", "a/b", token).unwrap_err();
        assert!(open.contains("not encrypted"), "{open}");
        assert!(of("http://git.acme.org", "a/b", None).is_ok());
        for name in ["acme", "acme/", "a/b/c", "a/..", "a/b?x", "a b/c", ""] {
            assert!(of(API, name, token).is_err(), "{name}");
        }
    }

    #[test]
    fn how_long_github_wants_to_be_left_alone() {
        let check = |headers: &[(&'static str, &str)], expected| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            let expected: Option<u64> = expected;
            assert_eq!(wait(&map, 1_000_000).map(|wait| wait.as_secs()), expected);
        };
        check(&[], None);
        check(&[("retry-after", "7")], Some(7));
        let none = ("x-ratelimit-remaining", "0");
        check(&[none, ("x-ratelimit-reset", "1090")], Some(90));
        check(&[none, ("x-ratelimit-reset", "900")], Some(0));
        check(&[("x-ratelimit-remaining", "12")], None);
        check(&[none, ("retry-after", "3")], Some(3));
    }

    #[test]
    fn the_token_is_shown_nowhere() {
        let access = access("http://git.acme.org", "a/b", Some("hunter2"));
        let error = address(&access).unwrap_err();
        assert!(!format!("{access:?} {error} {error:?}").contains("hunter2"));
    }
}
