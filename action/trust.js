// Whether this job may write what others read, and where its store is.
//
// A job that a stranger can start, or whose code a stranger wrote, only reads: a pull request from a fork, and events
// that anybody can cause in a public repository. On a machine of one's own, whose disk stays, such jobs also have a
// local store of their own, since what they build would otherwise be found by the jobs after them.
"use strict";

const fs = require("node:fs");
const path = require("node:path");

/** Events whose code the repository's own people wrote. */
const OWN_EVENTS = ["push", "schedule", "workflow_dispatch", "repository_dispatch", "release", "create", "merge_group"];

function event(environment) {
  try {
    return JSON.parse(fs.readFileSync(environment.GITHUB_EVENT_PATH, "utf8"));
  } catch {
    return {};
  }
}

/** Why this job is not trusted; `null` where it is. */
function distrust(environment) {
  const name = environment.GITHUB_EVENT_NAME ?? "";
  if (name === "pull_request") {
    const request = event(environment).pull_request;
    const head = request?.head?.repo?.full_name;
    const base = request?.base?.repo?.full_name ?? environment.GITHUB_REPOSITORY;
    // The head's repository is gone, or unknown: nobody vouches for it.
    return head && head === base ? null : "a pull request from a fork";
  }
  return OWN_EVENTS.includes(name) ? null : `the event \`${name}\`, which strangers can cause`;
}

function isOwnMachine(environment) {
  return environment.RUNNER_ENVIRONMENT === "self-hosted";
}

/** The local store's directory. */
function storeDirectory(environment, given) {
  const isTrusted = distrust(environment) === null;
  const kept = isOwnMachine(environment);
  const directory = given || (kept
    ? path.join(environment.RUNNER_TOOL_CACHE || environment.RUNNER_TEMP, "rekindle", "store")
    : path.join(environment.RUNNER_TEMP, "rekindle-store"));
  return kept && !isTrusted ? `${directory}-of-strangers` : directory;
}

module.exports = { distrust, isOwnMachine, storeDirectory };
