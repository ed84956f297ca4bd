// The post step: captures what the job's steps built, saves it where the job may, and writes the summary.
//
// Nothing here fails a job.
"use strict";

const fs = require("node:fs");

const { Rekindle } = require("./rekindle");
const runner = require("./runner");
const trust = require("./trust");

function main() {
  const directory = runner.state("directory");
  const project = runner.state("project");
  // The main step did not get far, or the checkout was removed since.
  if (!directory || !project || !fs.existsSync(project)) {
    return;
  }
  const rekindle = new Rekindle(directory, project);
  const saves = runner.state("saves") === "true";
  runner.group("Keep what was built", () => rekindle.end({ saves, hasRemote: runner.state("remote") !== "" }));
  if (runner.input("summary") === "false" || !process.env.GITHUB_STEP_SUMMARY) {
    return;
  }
  // On a machine of one's own the store has the runs of other jobs as well.
  const text = rekindle.summary(!trust.isOwnMachine(process.env));
  if (text) {
    fs.appendFileSync(process.env.GITHUB_STEP_SUMMARY, text);
  }
}

try {
  main();
} catch (error) {
  runner.warning(`what was built is not kept: ${error.message}`);
}
