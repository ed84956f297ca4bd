//! The database: `history.sqlite3` in the store's directory.
//!
//! ```text
//! runs    a row for each run, by uid; by project and begin
//! jobs    a row for each job of a CI service, by uid; its steps as JSON
//! ```
//!
//! `user_version` is the schema's version: the number of [`MIGRATIONS`] that were applied. A database of
//! a newer version is left alone. Writers wait for each other (write-ahead log, one short transaction), for
//! no longer than [`WAIT`]. Nothing is synced but at checkpoints; after a power failure a database that is
//! damaged is put aside and begun anew, since it is a record of the past and no build needs it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rekindle_base::ErrorKind;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Row, Transaction, TransactionBehavior, params};

use crate::model::{Job, Run};

/// The file's name in the store's directory.
pub const DATABASE: &str = "history.sqlite3";

/// Runs that are kept, of all projects; the oldest go.
pub const RUNS_MAX: u64 = 20_000;

/// Jobs of CI services that are kept, likewise.
const JOBS_MAX: u64 = 20_000;

/// The oldest go when there are so many more than the bound: not at every run.
const SLACK: u64 = 500;

/// For how long a writer waits for another.
const WAIT: Duration = Duration::from_millis(500);

/// What makes a database of version `n` one of version `n + 1`. Never changed, only added to.
const MIGRATIONS: &[&str] = &[
    "CREATE TABLE runs (
        uid TEXT PRIMARY KEY NOT NULL, project TEXT NOT NULL, began_ms INTEGER NOT NULL,
        branch TEXT, commit_id TEXT, command TEXT NOT NULL, wall_ms INTEGER NOT NULL,
        exit_code INTEGER NOT NULL, fresh INTEGER, hits INTEGER NOT NULL, misses INTEGER NOT NULL,
        uncacheable INTEGER NOT NULL, compile_ms INTEGER NOT NULL, link_ms INTEGER NOT NULL,
        script_ms INTEGER NOT NULL, saved_ms INTEGER NOT NULL, restored_bytes INTEGER NOT NULL,
        published_bytes INTEGER NOT NULL, materialised_bytes INTEGER NOT NULL,
        cores INTEGER NOT NULL, ci TEXT, workflow TEXT, job TEXT, runner TEXT,
        rekindle TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX runs_by_time ON runs (project, began_ms);
    CREATE INDEX runs_by_age ON runs (began_ms);",
    "CREATE TABLE jobs (
        uid TEXT PRIMARY KEY NOT NULL, project TEXT NOT NULL, repository TEXT NOT NULL,
        workflow TEXT NOT NULL, name TEXT NOT NULL, branch TEXT, commit_id TEXT,
        created_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL, completed_ms INTEGER NOT NULL,
        conclusion TEXT NOT NULL, labels TEXT NOT NULL, steps TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX jobs_by_time ON jobs (project, created_ms);
    CREATE INDEX jobs_by_age ON jobs (created_ms);",
];

/// The version from which there are jobs.
const JOBS_SINCE: i64 = 2;

const RUN_COLUMNS: &str = "uid, project, began_ms, branch, commit_id, command, wall_ms, exit_code, \
    fresh, hits, misses, uncacheable, compile_ms, link_ms, script_ms, saved_ms, restored_bytes, \
    published_bytes, materialised_bytes, cores, ci, workflow, job, runner, rekindle";

const JOB_COLUMNS: &str = "uid, project, repository, workflow, name, branch, commit_id, \
    created_ms, started_ms, completed_ms, conclusion, labels, steps";

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Nothing was recorded yet.
    #[error("no run is recorded in `{}`; run `rekindle build` first", .0.display())]
    Nothing(PathBuf),
    /// A newer version of Rekindle wrote it.
    #[error("`{}` was written by a newer version of rekindle (schema {version}); update rekindle", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema's version.
        version: i64,
    },
    /// The store's directory can't be used.
    #[error("the history in `{}` cannot be used: {error}; see that it can be written, or remove it", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        error: rusqlite::Error,
    },
    /// The directory can't be made.
    #[error("`{}` cannot be made: {error}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: std::io::Error,
    },
}

impl HistoryError {
    /// Whose fault it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Nothing(_) => ErrorKind::User,
            Self::Newer { .. } | Self::Database { .. } | Self::Directory { .. } => {
                ErrorKind::Environment
            }
        }
    }
}

/// The database, open.
#[derive(Debug)]
pub struct History {
    connection: Connection,
    path: PathBuf,
}

impl History {
    /// Opens the database of a store for writing, and makes it where there is none. One that is damaged is put
    /// aside.
    ///
    /// # Errors
    /// [`HistoryError`]; never [`HistoryError::Nothing`].
    pub fn open(store_dir: &Path) -> Result<Self, HistoryError> {
        rekindle_fsx::create_dir_all(store_dir).map_err(|error| HistoryError::Directory {
            path: store_dir.to_owned(),
            error,
        })?;
        let path = store_dir.join(DATABASE);
        match Self::open_file(&path) {
            Err(HistoryError::Database { error, .. }) if is_damage(&error) => {
                put_aside(&path);
                Self::open_file(&path)
            }
            opened => opened,
        }
    }

    /// Whether a store has a database.
    #[must_use]
    pub fn is_there(store_dir: &Path) -> bool {
        rekindle_fsx::exists(&store_dir.join(DATABASE))
    }

    /// Opens the database of a store for reading, also where nothing can be written.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn open_to_read(store_dir: &Path) -> Result<Self, HistoryError> {
        if !Self::is_there(store_dir) {
            return Err(HistoryError::Nothing(store_dir.to_owned()));
        }
        let path = store_dir.join(DATABASE);
        match Self::open_file(&path) {
            Err(HistoryError::Database { error, .. }) if !is_damage(&error) => {
                Self::open_read_only(&path)
            }
            opened => opened,
        }
    }

    fn open_file(path: &Path) -> Result<Self, HistoryError> {
        let failed = |error| HistoryError::Database {
            path: path.to_owned(),
            error,
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        let mut history = Self {
            connection,
            path: path.to_owned(),
        };
        history.prepare().map_err(failed)?;
        history.migrate()?;
        Ok(history)
    }

    /// Where nothing can be written: with the log that writers left, else without one.
    fn open_read_only(path: &Path) -> Result<Self, HistoryError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let open = |uri: &str| -> rusqlite::Result<(i64, Self)> {
            let history = Self {
                connection: Connection::open_with_flags(uri, flags)?,
                path: path.to_owned(),
            };
            Ok((history.version()?, history))
        };
        let plain = uri(path);
        let opened = open(&plain).or_else(|_| open(&format!("{plain}?immutable=1")));
        let (version, history) = opened.map_err(|error| HistoryError::Database {
            path: path.to_owned(),
            error,
        })?;
        if version > known_version() {
            return Err(HistoryError::Newer {
                path: path.to_owned(),
                version,
            });
        }
        Ok(history)
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(WAIT)?;
        // A checkpoint syncs; without this each run that ends alone would make one.
        self.connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // What another writer changes at this moment is WAL as well.
        let _ = self.connection.pragma_update(None, "journal_mode", "WAL");
        self.connection
            .pragma_update(None, "synchronous", "NORMAL")?;
        // Hostile contents are nobody's code.
        self.connection.pragma_update(None, "trusted_schema", false)
    }

    fn version(&self) -> rusqlite::Result<i64> {
        self.connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
    }

    fn migrate(&mut self) -> Result<(), HistoryError> {
        let path = self.path.clone();
        let failed = |error| HistoryError::Database {
            path: path.clone(),
            error,
        };
        let version = self.version().map_err(failed)?;
        if version == known_version() {
            return Ok(());
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        // Somebody else may have been faster.
        let version: i64 = transaction
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(failed)?;
        let Some(missing) = usize::try_from(version)
            .ok()
            .and_then(|version| MIGRATIONS.get(version..))
        else {
            return Err(HistoryError::Newer { path, version });
        };
        for step in missing {
            transaction.execute_batch(step).map_err(failed)?;
        }
        transaction
            .pragma_update(None, "user_version", known_version())
            .map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    /// Keeps a run, unless one of its name is kept. Whether it is new.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn record(&mut self, run: Run) -> Result<bool, HistoryError> {
        Ok(self.record_all(vec![run], Vec::new())?.0 > 0)
    }

    /// Keeps runs and jobs that are not there yet, drops the oldest beyond the bound, and leaves out what
    /// cannot be. How many of each are new.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn record_all(
        &mut self,
        runs: Vec<Run>,
        jobs: Vec<Job>,
    ) -> Result<(u64, u64), HistoryError> {
        let path = self.path.clone();
        let write = || -> rusqlite::Result<(u64, u64)> {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut new = (0, 0);
            for mut run in runs {
                if run.tidy() {
                    new.0 += insert_run(&transaction, &run)?;
                }
            }
            for mut job in jobs {
                if job.tidy() {
                    new.1 += insert_job(&transaction, &job)?;
                }
            }
            prune(&transaction, "runs", "began_ms", RUNS_MAX)?;
            prune(&transaction, "jobs", "created_ms", JOBS_MAX)?;
            transaction.commit()?;
            Ok(new)
        };
        write().map_err(|error| HistoryError::Database { path, error })
    }

    /// The newest runs of a project, the oldest of them first.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn runs(&self, project: &str, at_most: u64) -> Result<Vec<Run>, HistoryError> {
        let query = format!(
            "SELECT {RUN_COLUMNS} FROM runs WHERE project = ?1 ORDER BY began_ms DESC, uid LIMIT ?2"
        );
        self.rows(&query, project, at_most, read_run)
    }

    /// The newest jobs of a project, the oldest of them first.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn jobs(&self, project: &str, at_most: u64) -> Result<Vec<Job>, HistoryError> {
        // One that cannot be written is not migrated.
        if self.version().is_ok_and(|version| version < JOBS_SINCE) {
            return Ok(Vec::new());
        }
        let query = format!(
            "SELECT {JOB_COLUMNS} FROM jobs WHERE project = ?1 ORDER BY created_ms DESC, uid LIMIT ?2"
        );
        self.rows(&query, project, at_most, read_job)
    }

    fn rows<T>(
        &self,
        query: &str,
        project: &str,
        at_most: u64,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, HistoryError> {
        let ask = || -> rusqlite::Result<Vec<T>> {
            let mut statement = self.connection.prepare(query)?;
            let rows = statement.query_map(params![project, signed(at_most)], read)?;
            let mut rows: Vec<T> = rows.collect::<Result<_, _>>()?;
            rows.reverse();
            Ok(rows)
        };
        ask().map_err(|error| HistoryError::Database {
            path: self.path.clone(),
            error,
        })
    }
}

/// A file as SQLite's URIs name it.
fn uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for letter in path.to_string_lossy().chars() {
        match letter {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            other => uri.push(other),
        }
    }
    uri
}

fn known_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    )
}

/// Renames what is damaged, so that a person can look at it; an older one of that name goes.
fn put_aside(path: &Path) {
    let beside = |ending: &str| path.with_file_name(format!("{DATABASE}{ending}"));
    let _ = rekindle_fsx::rename(path, &beside(".damaged"));
    for ending in ["-wal", "-shm"] {
        let _ = rekindle_fsx::remove_file(&beside(ending));
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn insert_run(transaction: &Transaction<'_>, run: &Run) -> rusqlite::Result<u64> {
    let query = format!(
        "INSERT OR IGNORE INTO runs ({RUN_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
         ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)"
    );
    let changed = transaction.prepare_cached(&query)?.execute(params![
        run.uid,
        run.project,
        signed(run.began_ms),
        run.branch,
        run.commit,
        run.command,
        signed(run.wall_ms),
        run.exit_code,
        run.fresh.map(signed),
        signed(run.hits),
        signed(run.misses),
        signed(run.uncacheable),
        signed(run.compile_ms),
        signed(run.link_ms),
        signed(run.script_ms),
        signed(run.saved_ms),
        signed(run.restored_bytes),
        signed(run.published_bytes),
        signed(run.materialised_bytes),
        run.cores,
        run.ci,
        run.workflow,
        run.job,
        run.runner,
        run.rekindle,
    ])?;
    Ok(changed as u64)
}

/// A number that a hostile or damaged database has negative is 0.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

fn read_run(row: &Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        uid: row.get(0)?,
        project: row.get(1)?,
        began_ms: unsigned(row, 2)?,
        branch: row.get(3)?,
        commit: row.get(4)?,
        command: row.get(5)?,
        wall_ms: unsigned(row, 6)?,
        exit_code: i32::try_from(row.get::<_, i64>(7)?).unwrap_or(i32::MAX),
        fresh: row
            .get::<_, Option<i64>>(8)?
            .map(|fresh| u64::try_from(fresh).unwrap_or(0)),
        hits: unsigned(row, 9)?,
        misses: unsigned(row, 10)?,
        uncacheable: unsigned(row, 11)?,
        compile_ms: unsigned(row, 12)?,
        link_ms: unsigned(row, 13)?,
        script_ms: unsigned(row, 14)?,
        saved_ms: unsigned(row, 15)?,
        restored_bytes: unsigned(row, 16)?,
        published_bytes: unsigned(row, 17)?,
        materialised_bytes: unsigned(row, 18)?,
        cores: u32::try_from(row.get::<_, i64>(19)?).unwrap_or(0),
        ci: row.get(20)?,
        workflow: row.get(21)?,
        job: row.get(22)?,
        runner: row.get(23)?,
        rekindle: row.get(24)?,
    })
}

fn insert_job(transaction: &Transaction<'_>, job: &Job) -> rusqlite::Result<u64> {
    let query = format!(
        "INSERT OR IGNORE INTO jobs ({JOB_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
         ?10, ?11, ?12, ?13)"
    );
    let steps = serde_json::to_string(&job.steps).unwrap_or_default();
    let changed = transaction.prepare_cached(&query)?.execute(params![
        job.uid,
        job.project,
        job.repository,
        job.workflow,
        job.name,
        job.branch,
        job.commit,
        signed(job.created_ms),
        signed(job.started_ms),
        signed(job.completed_ms),
        job.conclusion,
        job.labels,
        steps,
    ])?;
    Ok(changed as u64)
}

fn read_job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let steps: String = row.get(12)?;
    Ok(Job {
        uid: row.get(0)?,
        project: row.get(1)?,
        repository: row.get(2)?,
        workflow: row.get(3)?,
        name: row.get(4)?,
        branch: row.get(5)?,
        commit: row.get(6)?,
        created_ms: unsigned(row, 7)?,
        started_ms: unsigned(row, 8)?,
        completed_ms: unsigned(row, 9)?,
        conclusion: row.get(10)?,
        labels: row.get(11)?,
        steps: serde_json::from_str(&steps).unwrap_or_default(),
    })
}

fn prune(
    transaction: &Transaction<'_>,
    table: &str,
    time: &str,
    at_most: u64,
) -> rusqlite::Result<()> {
    let count = format!("SELECT COUNT(*) FROM {table}");
    let rows: i64 = transaction.query_row(&count, [], |row| row.get(0))?;
    if rows <= signed(at_most + SLACK) {
        return Ok(());
    }
    let remove = format!(
        "DELETE FROM {table} WHERE uid IN (SELECT uid FROM {table} ORDER BY {time} ASC LIMIT ?1)"
    );
    transaction.execute(&remove, params![rows - signed(at_most)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{PROJECT, job, run};

    fn all(history: &History) -> Vec<Run> {
        history.runs(PROJECT, u64::MAX).unwrap()
    }

    #[test]
    fn what_is_recorded_is_read_back_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut history = History::open(dir.path()).unwrap();
        assert!(history.record(run(2)).unwrap());
        assert!(history.record(run(1)).unwrap());
        assert!(!history.record(run(2)).unwrap());
        let (_, jobs) = history
            .record_all(Vec::new(), vec![job(5), job(5)])
            .unwrap();
        assert_eq!(jobs, 1);
        drop(history);
        let history = History::open_to_read(dir.path()).unwrap();
        assert_eq!(all(&history), [run(1), run(2)]);
        assert_eq!(history.runs(PROJECT, 1).unwrap(), [run(2)]);
        assert_eq!(history.jobs(PROJECT, 9).unwrap(), [job(5)]);
        assert_eq!(history.runs(&"0".repeat(64), 9).unwrap(), []);
    }

    #[test]
    fn reading_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let error = History::open_to_read(dir.path()).unwrap_err();
        assert!(matches!(error, HistoryError::Nothing(_)));
        assert!(!dir.path().join(DATABASE).exists());
    }

    #[test]
    fn a_database_of_the_first_version_is_migrated() {
        let dir = tempfile::tempdir().unwrap();
        let old = Connection::open(dir.path().join(DATABASE)).unwrap();
        old.execute_batch(MIGRATIONS[0]).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        let query = format!(
            "INSERT INTO runs ({RUN_COLUMNS}) VALUES ('a', '{PROJECT}', 1, NULL, NULL, 'build', 2, 0, \
             NULL, 0,0,0,0,0,0,0,0,0,0,0, NULL, NULL, NULL, NULL, '0.1.0')"
        );
        old.execute_batch(&query).unwrap();
        drop(old);
        let mut history = History::open(dir.path()).unwrap();
        assert_eq!(all(&history).len(), 1);
        assert_eq!(history.record_all(Vec::new(), vec![job(1)]).unwrap().1, 1);
    }

    #[test]
    fn a_newer_database_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        drop(History::open(dir.path()).unwrap());
        let path = dir.path().join(DATABASE);
        let newer = Connection::open(&path).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        drop(newer);
        for opened in [History::open(dir.path()), History::open_to_read(dir.path())] {
            let error = opened.unwrap_err();
            assert!(
                matches!(error, HistoryError::Newer { version: 99, .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_damaged_database_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        rekindle_fsx::atomic::write(&dir.path().join(DATABASE), &[7; 5000]).unwrap();
        let mut history = History::open(dir.path()).unwrap();
        assert!(history.record(run(1)).unwrap());
        assert!(dir.path().join("history.sqlite3.damaged").exists());
    }

    #[test]
    fn the_oldest_runs_go_when_there_are_too_many() {
        let dir = tempfile::tempdir().unwrap();
        let mut history = History::open(dir.path()).unwrap();
        let runs = (0..RUNS_MAX + SLACK).map(run).collect();
        history.record_all(runs, Vec::new()).unwrap();
        assert_eq!(all(&history).len() as u64, RUNS_MAX + SLACK);
        history.record(run(RUNS_MAX + SLACK)).unwrap();
        let kept = all(&history);
        assert_eq!(kept.len() as u64, RUNS_MAX);
        assert_eq!(kept[0], run(SLACK + 1));
    }

    #[test]
    fn writers_at_once_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let dir = dir.path();
                scope.spawn(move || {
                    for at in 0..20 {
                        let mut history = History::open(dir).unwrap();
                        history.record(run(writer * 100 + at)).unwrap();
                    }
                });
            }
        });
        assert_eq!(all(&History::open(dir.path()).unwrap()).len(), 160);
    }
}
