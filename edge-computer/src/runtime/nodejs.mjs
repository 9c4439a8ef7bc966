// A runtime for functions written in JavaScript: speaks OpenWhisk's protocol, POST /init with the
// code, once, then POST /run with parameters. Started by an edge computer, which reads the port
// from the first line of the output, and of which the standard input is the life line.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { compileFunction } from "node:vm";
import { inflateRawSync } from "node:zlib";

const MARKER = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX";
const MAX_BODY = 64 << 20;
const MAX_UNPACKED = 256 << 20;
const folder = process.cwd();
const secret = process.env.EDGE_RUNTIME_SECRET;
delete process.env.EDGE_RUNTIME_SECRET;

let main = null;
let state = "new"; // then "initialising", "ready", "stopped"

// Why a request cannot be served, and with which status that is told.
class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

function describe(error) {
  if (error instanceof Error) return error.stack ?? error.message;
  return typeof error === "string" ? error : JSON.stringify(error) ?? String(error);
}

// --- code ---

// The files of a ZIP archive, by name, as its central directory lists them.
function unzip(archive) {
  let end = archive.length - 22;
  while (end >= 0 && archive.readUInt32LE(end) !== 0x06054b50) end--;
  if (end < 0) throw new Error("the archive has no central directory");
  const files = new Map();
  let at = archive.readUInt32LE(end + 16);
  let unpacked = 0;
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    if (archive.readUInt32LE(at) !== 0x02014b50) throw new Error("the archive is damaged");
    const method = archive.readUInt16LE(at + 10);
    const packedSize = archive.readUInt32LE(at + 20);
    const size = archive.readUInt32LE(at + 24);
    const nameLength = archive.readUInt16LE(at + 28);
    const skip = nameLength + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
    const header = archive.readUInt32LE(at + 42);
    const name = archive.toString("utf8", at + 46, at + 46 + nameLength);
    at += 46 + skip;
    if (name.endsWith("/")) continue;
    unpacked += size;
    if (unpacked > MAX_UNPACKED) throw new Error("the archive is too large");
    const start = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28);
    const packed = archive.subarray(start, start + packedSize);
    if (method !== 0 && method !== 8) throw new Error(`${name} is compressed by method ${method}`);
    files.set(name, method === 0 ? packed : inflateRawSync(packed, { maxOutputLength: size || 1 }));
  }
  return files;
}

function unpack(base64) {
  for (const [name, content] of unzip(Buffer.from(base64, "base64"))) {
    const path = normalize(join(folder, name));
    if (!path.startsWith(folder + sep)) throw new Error(`${name} lies outside of the archive`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}

function member(object, path) {
  return path.split(".").reduce((value, name) => value?.[name], object);
}

async function loadModule(path, name) {
  let loaded;
  try {
    loaded = createRequire(join(folder, "index.js"))(path);
  } catch (error) {
    if (error?.code !== "ERR_REQUIRE_ESM" && !(error instanceof SyntaxError)) throw error;
    loaded = await import(pathToFileURL(path).href);
  }
  return member(loaded, name) ?? member(loaded?.default, name);
}

async function loadText(code, name) {
  const module = { exports: {} };
  const require = createRequire(join(folder, "index.js"));
  const names = ["module", "exports", "require", "__filename", "__dirname"];
  const first = name.split(".")[0];
  const epilogue = `\n;return typeof ${first} === "undefined" ? undefined : ${name};`;
  let compiled;
  try {
    compiled = compileFunction(code + epilogue, names, { filename: join(folder, "index.js") });
  } catch (error) {
    if (!(error instanceof SyntaxError) || !/^\s*(import|export)\b/m.test(code)) throw error;
    const path = join(folder, "index.mjs");
    writeFileSync(path, code);
    return loadModule(path, name);
  }
  const own = compiled(module, module.exports, require, join(folder, "index.js"), folder);
  return own ?? member(module.exports, name);
}

async function init({ value }) {
  if (state !== "new") throw new Refusal(403, "Cannot initialize the action more than once.");
  const { main: name = "main", code, binary = false, env = {} } = value ?? {};
  if (typeof code !== "string" || code === "" || typeof name !== "string" || name === "") {
    throw new Refusal(403, "Missing main/no code to execute.");
  }
  if (!/^[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*$/.test(name)) {
    throw new Refusal(502, `Initialization has failed due to: ${name} cannot be a function.`);
  }
  state = "initialising";
  setEnvironment(env ?? {});
  try {
    if (binary) {
      unpack(code);
      main = await loadModule(folder, name);
    } else {
      main = await loadText(code, name);
    }
  } catch (error) {
    state = "stopped";
    throw new Refusal(502, `Initialization has failed due to: ${describe(error)}`);
  }
  if (typeof main !== "function") {
    state = "stopped";
    throw new Refusal(502, `Initialization has failed due to: there is no function ${name}.`);
  }
  state = "ready";
  return { ok: true };
}

// --- execution ---

function setEnvironment(env) {
  for (const [name, value] of Object.entries(env)) {
    process.env[name] = typeof value === "string" ? value : JSON.stringify(value);
  }
}

async function run({ value, ...context }) {
  if (state !== "ready") throw new Refusal(403, `System not ready, status is ${state}.`);
  for (const [name, text] of Object.entries(context)) {
    if (text !== null) setEnvironment({ [`__OW_${name.toUpperCase()}`]: text });
  }
  let answer;
  try {
    answer = main(value ?? {});
  } catch (error) {
    // Nobody knows what it has left behind.
    state = "stopped";
    console.error(describe(error));
    throw new Refusal(502, `An error has occurred: ${describe(error)}`);
  }
  let result;
  try {
    result = (await answer) ?? {};
  } catch (error) {
    // A promise that is rejected is how functions say that they have failed.
    if (error === undefined || error === null) return { error: {} };
    return { error: error instanceof Error ? { ...error, message: error.message, name: error.name } : error };
  }
  if (typeof result !== "object") {
    throw new Refusal(502, "The action did not return a dictionary or array.");
  }
  return result;
}

// --- HTTP ---

async function body(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MAX_BODY) throw new Refusal(413, "The request is too large.");
    chunks.push(chunk);
  }
  try {
    const parsed = JSON.parse(Buffer.concat(chunks).toString("utf8") || "{}");
    if (parsed !== null && typeof parsed === "object") return parsed;
  } catch {
    // Answered below.
  }
  throw new Refusal(400, "The request is not a JSON object.");
}

async function answer(request) {
  if (secret !== undefined && request.headers.authorization !== `Bearer ${secret}`) {
    throw new Refusal(401, "Not for you.");
  }
  const route = { "/init": init, "/run": run }[request.url];
  if (request.method !== "POST" || route === undefined) throw new Refusal(404, "No such resource.");
  return route(await body(request));
}

const server = createServer(async (request, response) => {
  let status = 200;
  let text;
  try {
    const result = await answer(request);
    text = JSON.stringify(result);
    if (text === undefined) throw new Refusal(502, "The result is not JSON.");
  } catch (error) {
    status = error instanceof Refusal ? error.status : 502;
    text = JSON.stringify({ error: error instanceof Refusal ? error.message : describe(error) });
  }
  if (request.url === "/run" || (request.url === "/init" && status !== 200)) {
    process.stdout.write(`${MARKER}\n`);
    process.stderr.write(`${MARKER}\n`);
  }
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(text);
});

// Who has started us is gone.
process.stdin.on("end", () => process.exit(0));
process.stdin.on("error", () => process.exit(0));
process.stdin.resume();
server.keepAliveTimeout = 0;
server.listen(0, "127.0.0.1", () => process.stdout.write(`listening ${server.address().port}\n`));
