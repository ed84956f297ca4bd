// What the runner and an action say to each other: inputs, files that take variables, and lines that it reads.
//
// Written without @actions/core, so that what runs is what is read here.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");

/** An input, trimmed; empty where it is not given. */
function input(name) {
  return (process.env[`INPUT_${name.toUpperCase()}`] ?? "").trim();
}

/** Words of an input. */
function words(name) {
  return input(name).split(/\s+/).filter((word) => word !== "");
}

/** Appends `name` and `value` to one of the runner's files. The delimiter is one that no value can hold. */
function append(file, name, value) {
  const path = process.env[file];
  if (!path) {
    throw new Error(`${file} is not set: is this a runner?`);
  }
  const delimiter = `rekindle_${crypto.randomUUID()}`;
  fs.appendFileSync(path, `${name}<<${delimiter}${os.EOL}${value}${os.EOL}${delimiter}${os.EOL}`);
}

/** Sets a variable for this step's programs and for the steps that follow. */
function exportVariable(name, value) {
  process.env[name] = value;
  append("GITHUB_ENV", name, value);
}

/** Puts a directory in front of `PATH`, here and in the steps that follow. */
function addPath(directory) {
  process.env.PATH = `${directory}:${process.env.PATH ?? ""}`;
  fs.appendFileSync(process.env.GITHUB_PATH, `${directory}${os.EOL}`);
}

function setOutput(name, value) {
  append("GITHUB_OUTPUT", name, value);
}

/** Keeps a value for the post step. */
function saveState(name, value) {
  append("GITHUB_STATE", name, value);
}

/** A value that the main step kept; empty where it kept none. */
function state(name) {
  return process.env[`STATE_${name}`] ?? "";
}

function escaped(text) {
  return String(text).replace(/%/g, "%25").replace(/\r/g, "%0D").replace(/\n/g, "%0A");
}

/** Keeps a text out of the log. */
function mask(secret) {
  console.log(`::add-mask::${escaped(secret)}`);
}

function info(text) {
  console.log(text);
}

function warning(text) {
  console.log(`::warning title=Rekindle::${escaped(text)}`);
}

/** Fails the job: for what must not go on. */
function fail(text) {
  console.log(`::error title=Rekindle::${escaped(text)}`);
  process.exitCode = 1;
}

/** Folds what is printed meanwhile. */
async function group(title, work) {
  console.log(`::group::${escaped(title)}`);
  try {
    return await work();
  } finally {
    console.log("::endgroup::");
  }
}

module.exports = {
  addPath, exportVariable, fail, group, info, input, mask, saveState, setOutput, state, warning, words,
};
