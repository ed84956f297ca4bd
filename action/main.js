// The main step: installs Rekindle, tells the steps that follow to use it, and brings back what was built before.
//
// What goes wrong costs time and never the job, but for two things: an archive that is not the released one, and inputs
// that mean nothing.
"use strict";

const fs = require("node:fs");
const path = require("node:path");

const { WrongDigest, install } = require("./install");
const { Rekindle } = require("./rekindle");
const runner = require("./runner");
const trust = require("./trust");

/** What the runner tells actions and nobody else: later steps need it to reach GitHub's cache service. */
const CACHE_SERVICE = ["ACTIONS_RESULTS_URL", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_CACHE_URL", "ACTIONS_CACHE_MODE", "ACTIONS_CACHE_SERVICE_V2"];

class WrongInput extends Error {}

function oneOf(name, values) {
  const value = runner.input(name) || values[0];
  if (!values.includes(value)) {
    throw new WrongInput(`\`${name}\` is to be ${values.map((one) => `\`${one}\``).join(" or ")}, not \`${value}\``);
  }
  return value;
}

/** The remote's address; empty for none. */
function remote() {
  const wanted = runner.input("remote") || "auto";
  if (wanted === "none") {
    return "";
  }
  if (wanted !== "auto") {
    return wanted;
  }
  // Whoever set one in the workflow meant it.
  const set = process.env.REKINDLE_REMOTE ?? "";
  return set || (trust.isOwnMachine(process.env) ? "" : "gha://");
}

/** Variables for the steps that follow, besides those that `rekindle env` knows. */
function wire(save) {
  const address = remote();
  const why = trust.distrust(process.env);
  const saves = save === "auto" && why === null;
  const directory = trust.storeDirectory(process.env, runner.input("directory"));
  runner.exportVariable("REKINDLE_DIR", directory);
  const size = runner.input("size");
  if (size) {
    runner.exportVariable("REKINDLE_CACHE_SIZE", size);
  }
  if (address) {
    runner.exportVariable("REKINDLE_REMOTE", address);
  }
  if (!saves) {
    runner.exportVariable("REKINDLE_REMOTE_MODE", "read-only");
    runner.info(why ? `nothing is saved for others: this is ${why}` : "nothing is saved for others: `save` is `never`");
  }
  if (/^(gha|github):/.test(address)) {
    for (const name of CACHE_SERVICE.filter((name) => process.env[name])) {
      if (name.endsWith("TOKEN")) {
        runner.mask(process.env[name]);
      }
      runner.exportVariable(name, process.env[name]);
    }
  }
  return { address, directory, saves };
}

async function main() {
  const save = oneOf("save", ["auto", "never"]);
  oneOf("summary", ["true", "false"]);
  const project = path.resolve(process.env.GITHUB_WORKSPACE || ".", runner.input("working-directory") || ".");
  const directory = await runner.group("Install Rekindle", install);
  if (directory === null) {
    runner.warning(`Rekindle is for Linux on x86-64 and ARM64; on ${process.platform} ${process.arch} this job goes on without it`);
    runner.setOutput("version", "");
    return;
  }
  const hasProject = fs.existsSync(path.join(project, "Cargo.toml"));
  const rekindle = new Rekindle(directory, hasProject ? project : undefined);
  const version = rekindle.version();
  if (version === null) {
    runner.warning("Rekindle's programs do not start on this machine, so this job goes on without them");
    runner.setOutput("version", "");
    return;
  }
  runner.addPath(directory);
  const { address, directory: store, saves } = wire(save);
  runner.setOutput("version", version);
  runner.setOutput("directory", store);
  if (!hasProject) {
    runner.warning(`there is no Cargo.toml in \`${project}\`: put this step behind the checkout, or give \`working-directory\``);
  }
  await runner.group("Bring back what was built before", () => {
    const profiles = hasProject ? runner.words("profiles") : [];
    const begun = rekindle.begin({ profiles, targets: runner.words("targets"), hasRemote: address !== "" });
    if (!begun.isFine) {
      runner.warning(`\`rekindle env\` failed, so later steps do without it: ${begun.said.trim().split("\n")[0]}`);
    }
  });
  if (address && !rekindle.has("pull", ["cache"])) {
    runner.info("this version knows no remote: what is built stays in the local store");
  }
  runner.saveState("directory", directory);
  runner.saveState("project", hasProject ? project : "");
  runner.saveState("saves", String(saves));
  runner.saveState("remote", address);
}

main().catch((error) => {
  if (error instanceof WrongDigest || error instanceof WrongInput) {
    runner.fail(error.message);
  } else {
    runner.warning(`Rekindle is not used in this job: ${error.message}`);
  }
});
