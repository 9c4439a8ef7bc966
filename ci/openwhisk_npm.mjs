// Lets npm's `openwhisk` deploy, call and look at functions on our OpenWhisk of one process.
//
// usage: node openwhisk_npm.mjs PATH_OF_OPENWHISK_SERVER FOLDER_WITH_NODE_MODULES

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const [program, folder] = process.argv.slice(2);
const openwhisk = createRequire(join(resolve(folder), "index.js"))("openwhisk");

const server = spawn(program, ["127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
const giveUp = setTimeout(() => {
  server.kill("SIGKILL");
  console.error("it takes too long");
  process.exit(1);
}, 120_000);

async function eventually(what, condition) {
  for (let tries = 0; tries < 400; tries++) {
    const value = await condition();
    if (value) return value;
    await new Promise((done) => setTimeout(done, 25));
  }
  throw new Error(`never happened: ${what}`);
}

try {
  const [line] = await new Promise((done) => createInterface(server.stdout).once("line", (l) => done([l])));
  const { url, auth } = JSON.parse(line);
  const ow = openwhisk({ apihost: url, api_key: auth });

  const action = `function main({ name }) {
    console.log("greeting", name);
    if (!name) return { error: "nobody to greet" };
    return { greeting: "hello, " + name + "!" };
  }`;
  await ow.actions.create({ name: "greet", action });
  await assert.rejects(ow.actions.create({ name: "greet", action }), /already exists/);
  const updated = await ow.actions.update({ name: "greet", action });
  assert.equal(updated.version, "0.0.2");

  const params = { name: 'Zoë "Z"\n' };
  const greeting = { greeting: `hello, ${params.name}!` };
  const whole = await ow.actions.invoke({ name: "greet", params, blocking: true });
  assert.deepEqual(whole.response.result, greeting);
  assert.equal(whole.response.success, true);
  assert.deepEqual(await ow.actions.invoke({ name: "greet", params, blocking: true, result: true }), greeting);
  const { activationId } = await ow.actions.invoke({ name: "/guest/greet", params });
  const record = await eventually("the activation is there", () =>
    ow.activations.get({ name: activationId }).catch(() => null),
  );
  assert.deepEqual(record.response.result, greeting);
  const { logs } = await ow.activations.logs({ name: activationId });
  assert.match(logs[0], /stdout: greeting Zoë/);
  assert.deepEqual((await ow.activations.result({ name: activationId })).result, greeting);
  const list = await ow.activations.list({ limit: 2 });
  assert.equal(list.length, 2);
  assert.equal(list[0].activationId, activationId);

  await assert.rejects(ow.actions.invoke({ name: "greet", blocking: true }), /nobody to greet/);
  await assert.rejects(ow.actions.invoke({ name: "nobody", blocking: true }), /does not exist/);

  await ow.packages.update({ name: "tools", package: { parameters: [{ key: "name", value: "package" }] } });
  await ow.actions.update({ name: "tools/greet", action });
  const inPackage = await ow.actions.invoke({ name: "tools/greet", blocking: true, result: true });
  assert.deepEqual(inPackage, { greeting: "hello, package!" });
  await ow.actions.update({ name: "chain", sequence: ["/_/greet"] });
  assert.deepEqual(await ow.actions.invoke({ name: "chain", params, blocking: true, result: true }), greeting);
  const names = (await ow.actions.list()).map((entry) => `${entry.namespace}/${entry.name}`);
  assert.ok(names.includes("guest/greet") && names.includes("guest/tools/greet"), names.join());
  const own = await ow.namespaces.get();
  assert.ok(own.actions.length >= 2 && own.packages.length === 1);
  assert.deepEqual(await ow.namespaces.list(), ["guest"]);
  const got = await ow.actions.get({ name: "greet" });
  assert.equal(got.exec.code, action);

  await ow.actions.delete({ name: "greet" });
  await assert.rejects(ow.actions.get({ name: "greet" }), /does not exist/);
  const wrong = openwhisk({ apihost: url, api_key: "who:cares" });
  await assert.rejects(wrong.actions.list(), /authentication is invalid/);
  console.log("npm openwhisk deploys, calls and looks at real functions");
} finally {
  clearTimeout(giveUp);
  server.kill("SIGINT");
}
