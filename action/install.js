// Gets Rekindle's programs for this machine: a release's by its digest, else built from the sources that came with the
// Action.
//
// `digests.json` has the version of a release and the SHA-256 of its archives by target; it is committed after a
// release's archives were built, and the Action's tag is put on that commit. An archive with another digest is never
// unpacked and fails the step.
"use strict";

const { spawnSync } = require("node:child_process");
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const runner = require("./runner");

const ROOT = path.join(__dirname, "..");
const PROGRAMS = ["rekindle", "cargo-rekindle", "rekindle-rustc"];
const DOWNLOAD_MS = 120_000;
/** The largest archive that is read, far above any release's. */
const ARCHIVE_MAX_BYTES = 256 * 1024 * 1024;

/** An archive is not the one that was released. */
class WrongDigest extends Error {}

/** The target that this machine runs; `null` for systems that Rekindle is not for. */
function target() {
  const architecture = { x64: "x86_64", arm64: "aarch64" }[process.arch];
  if (process.platform !== "linux" || !architecture) {
    return null;
  }
  const isMusl = fs.existsSync(`/lib/ld-musl-${architecture}.so.1`);
  return `${architecture}-unknown-linux-${isMusl ? "musl" : "gnu"}`;
}

function hasPrograms(directory) {
  return PROGRAMS.every((program) => fs.existsSync(path.join(directory, program)));
}

async function download(url) {
  const answer = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_MS) });
  if (!answer.ok) {
    throw new Error(`${url} answered ${answer.status}`);
  }
  const parts = [];
  let length = 0;
  for await (const part of answer.body) {
    length += part.length;
    if (length > ARCHIVE_MAX_BYTES) {
      throw new Error(`${url} is larger than any release`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Unpacks an archive, after its digest, into a directory that appears whole. */
function unpack(bytes, digest, directory) {
  const found = crypto.createHash("sha256").update(bytes).digest("hex");
  if (found !== digest) {
    throw new WrongDigest(`the archive has SHA-256 ${found}, the release ${digest}: it is not used`);
  }
  const fresh = `${directory}.${process.pid}`;
  fs.mkdirSync(fresh, { recursive: true });
  const archive = path.join(fresh, "archive.tar.gz");
  fs.writeFileSync(archive, bytes);
  const tar = spawnSync("tar", ["-xzf", archive, "-C", fresh, ...PROGRAMS], { stdio: "inherit" });
  fs.rmSync(archive);
  if (tar.status !== 0) {
    throw new Error("`tar` could not unpack the archive");
  }
  publish(fresh, directory);
}

/** Another job of this machine may have been faster: then its programs are as good. */
function publish(fresh, directory) {
  try {
    fs.renameSync(fresh, directory);
  } catch (error) {
    fs.rmSync(fresh, { recursive: true, force: true });
    if (!hasPrograms(directory)) {
      throw error;
    }
  }
}

/** The programs of a release; `null` where there is none for this target. */
async function fromRelease(digests, wanted, tools) {
  const digest = digests.archives[wanted];
  // An action that is used from its own checkout (`uses: ./`) is of no release.
  const repository = process.env.GITHUB_ACTION_REPOSITORY;
  if (!digests.version || !digest || !repository) {
    return null;
  }
  const directory = path.join(tools, `${digests.version}-${digest.slice(0, 16)}`);
  if (hasPrograms(directory)) {
    return directory;
  }
  const server = process.env.GITHUB_SERVER_URL || "https://github.com";
  const name = `rekindle-v${digests.version}-${wanted}.tar.gz`;
  const url = `${server}/${repository}/releases/download/v${digests.version}/${name}`;
  fs.mkdirSync(tools, { recursive: true });
  unpack(await download(url), digest, directory);
  return directory;
}

/** Builds the programs from the Action's own sources. */
function fromSource(tools) {
  const commit = process.env.GITHUB_ACTION_REF ?? "";
  // Only a commit says which sources these are: a branch moves.
  const isCommit = /^[0-9a-f]{40}$/.test(commit);
  const directory = path.join(tools, isCommit ? `source-${commit.slice(0, 16)}` : `source-${process.env.GITHUB_RUN_ID}-${process.pid}`);
  if (isCommit && hasPrograms(path.join(directory, "bin"))) {
    return path.join(directory, "bin");
  }
  runner.info("no release has programs for this machine: they are built from source, which takes some minutes");
  const environment = { ...process.env, CARGO_TARGET_DIR: path.join(process.env.RUNNER_TEMP, "rekindle-build") };
  for (const name of ["RUSTC_WRAPPER", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"]) {
    delete environment[name];
  }
  const fresh = `${directory}.${process.pid}`;
  const cargo = spawnSync(
    "cargo",
    ["install", "--locked", "--no-track", "--path", path.join(ROOT, "crates/rekindle"), "--root", fresh],
    // Not in the project: its configuration and toolchain are not for these sources.
    { cwd: ROOT, env: environment, stdio: "inherit" },
  );
  if (cargo.error || cargo.status !== 0) {
    throw new Error("cargo could not build Rekindle; is Rust installed before this step, and is it new enough?");
  }
  publish(fresh, directory);
  return path.join(directory, "bin");
}

/** The directory of the programs; `null` on systems that Rekindle is not for. */
async function install() {
  const given = runner.input("binaries");
  if (given) {
    const directory = path.resolve(given);
    if (!hasPrograms(directory)) {
      throw new Error(`\`${directory}\` does not have ${PROGRAMS.join(", ")}`);
    }
    return directory;
  }
  const wanted = target();
  if (wanted === null) {
    return null;
  }
  const tools = path.join(process.env.RUNNER_TOOL_CACHE || process.env.RUNNER_TEMP, "rekindle");
  const digests = JSON.parse(fs.readFileSync(path.join(__dirname, "digests.json"), "utf8"));
  try {
    const directory = await fromRelease(digests, wanted, tools);
    if (directory) {
      return directory;
    }
  } catch (error) {
    if (error instanceof WrongDigest) {
      throw error;
    }
    runner.warning(`the release could not be fetched (${error.message})`);
  }
  return fromSource(tools);
}

module.exports = { WrongDigest, fromRelease, install, target, unpack };
