// Every command of `rekindle` that the Action runs: the one place that knows them.
//
// Commands that a version does not have are left out, so that the Action and the programs need not be of one age.
"use strict";

const { spawnSync } = require("node:child_process");
const path = require("node:path");

const runner = require("./runner");

/** Longer than any restore or save takes; a job must not wait for ever. */
const COMMAND_MS = 15 * 60_000;
/** `rekindle` ends so where nothing is stored yet: no fault. */
const NOTHING_STORED = /no build with this toolchain and these flags is stored|no stored build has `/;

class Rekindle {
  constructor(directory, project) {
    this.program = path.join(directory, "rekindle");
    this.project = project;
  }

  /** Runs a command; what it came to, with its output. Never throws. */
  run(words, isQuiet = false) {
    const done = spawnSync(this.program, words, { cwd: this.project, encoding: "utf8", timeout: COMMAND_MS, maxBuffer: 64 << 20 });
    const said = `${done.stdout ?? ""}${done.stderr ?? ""}`;
    if (!isQuiet && said.trim()) {
      runner.info(`$ rekindle ${words.join(" ")}\n${said.trimEnd()}`);
    }
    return { isFine: !done.error && done.status === 0, stdout: done.stdout ?? "", said: done.error ? String(done.error) : said };
  }

  /** Runs a command whose failure costs time alone. */
  tried(words) {
    const done = this.run(words);
    if (!done.isFine && !NOTHING_STORED.test(done.said)) {
      runner.warning(`\`rekindle ${words.join(" ")}\` failed, and the job goes on: ${done.said.trim().split("\n")[0]}`);
    }
    return done;
  }

  /** Whether this version has a command, below `above` where that is given. */
  has(command, above = []) {
    const help = this.run([...above, "--help"], true);
    return new RegExp(`^  ${command}( |$)`, "m").test(help.stdout);
  }

  /** Its version; `null` where it does not start. */
  version() {
    const done = this.run(["--version"], true);
    return done.isFine ? done.stdout.trim().split(" ").pop() : null;
  }

  /** Before the job's own steps: the environment, what others saved, and the target directories. */
  begin({ profiles, targets, hasRemote }) {
    const wired = this.run(["env", "--github"]);
    if (!wired.isFine) {
      return wired;
    }
    if (hasRemote && this.has("pull", ["cache"])) {
      // Plain cargo has nobody beside it who fetches an object when something reads it, so all of them come now.
      this.tried(["cache", "pull", "--objects"]);
    }
    for (const profile of profiles) {
      for (const target of targets.length ? targets : [null]) {
        this.tried(["snapshot", "restore", "--profile", profile, ...(target ? ["--target", target] : [])]);
      }
    }
    return wired;
  }

  /** After them: what plain cargo built is captured, and saved where the job may. */
  end({ saves, hasRemote }) {
    this.tried(["snapshot", "capture"]);
    if (saves && hasRemote && this.has("push", ["cache"])) {
      this.tried(["cache", "push"]);
    }
  }

  /** What happened, as Markdown; `null` where nothing did. `all` sums every run of the store. */
  summary(all) {
    const run = all ? "all" : "last";
    const done = this.run(["stats", "--run", run, "--format", "json"], true);
    if (!done.isFine) {
      return null;
    }
    try {
      return table(JSON.parse(done.stdout));
    } catch (error) {
      runner.warning(`what \`rekindle stats\` printed cannot be read: ${error.message}`);
      return null;
    }
  }
}

function seconds(milliseconds) {
  return `${((milliseconds ?? 0) / 1000).toFixed(1)} s`;
}

function mebibytes(bytes) {
  return `${((bytes ?? 0) / (1 << 20)).toFixed(1)} MiB`;
}

function table(stats) {
  const units = stats.units ?? {};
  const bytes = stats.bytes ?? {};
  const rows = [
    ["units fresh", units.fresh ?? "not counted"],
    ["units restored", units.hit ?? 0],
    ["units compiled", units.miss ?? 0],
    ["units that cannot be cached", units.uncacheable ?? 0],
    ["compilers started", stats.processes?.rustc ?? 0],
    ["time saved (estimated)", seconds(stats.saved_ms)],
    ["restored", mebibytes(bytes.restored)],
    ["stored", mebibytes(bytes.published)],
  ];
  const lines = rows.map(([name, value]) => `| ${name} | ${value} |`);
  return `### Rekindle\n\n| | |\n|---|---:|\n${lines.join("\n")}\n`;
}

module.exports = { Rekindle, table };
