#!/usr/bin/env node
// OpenWhisk's own JavaScript client, as it is published, at both ends of the whole way, all of it
// real processes: a function is deployed on an OpenWhisk, and called through
//
//   npm openwhisk > wskproxy > edgerouter > edgecomputerwsk > OpenWhisk > Node
//
// It prints the session as one would have typed it; what is printed is what was executed.
//
// usage: openwhisk_chain.mjs FOLDER_OF_PROGRAMS FOLDER_OF_MODULES

import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { inspect } from 'node:util'
import { Daemons, endpoint, eventually } from './daemons.mjs'

const [programs, modules] = process.argv.slice(2).map((path) => resolve(path))
const openwhisk = createRequire(join(modules, 'package.json'))('openwhisk')
const daemons = new Daemons(programs)
const KEY = 'somebody:knows-this-key'

/** Starts a daemon as the session shows it, but for the endpoint of its metrics. */
function run (name, ...options) {
  const words = options.map((word) => word === '' ? '""' : word)
  const lines = [name]
  for (let at = 0; at < words.length; at += 2) {
    const more = words.slice(at, at + 2).join(' ')
    if (lines.at(-1).length + more.length > 90) lines.push(`    ${more}`)
    else lines.push(`${lines.pop()} ${more}`)
  }
  console.log(`$ ${lines.join(' \\\n')} &`)
  return daemons.daemon(name, ...options)
}

/** Evaluates what is shown, with `cloud` and `edge` for the two clients. */
async function evaluate (clients, text) {
  console.log(`> ${text}`)
  const names = Object.keys(clients)
  const AsyncFunction = (async () => {}).constructor
  const value = await new AsyncFunction(...names, `return (${text})`)(...Object.values(clients))
    .catch((error) => error)
  const shown = value instanceof Error
    ? `Uncaught ${value.name}: ${value.message}`
    : inspect(value, { depth: 6, breakLength: 96, compact: 3 })
  console.log(shown)
  return value
}

async function main () {
  const [controller, computer, router, tables, proxy] =
    await Promise.all([...Array(5)].map(endpoint))
  const platform = daemons.start('examples/openwhisk_server', '127.0.0.1:0')
  console.log('$ openwhisk_server 127.0.0.1:0 &')
  const { url, auth } = JSON.parse(await platform.line)
  console.log(JSON.stringify({ url, auth: '…' }))

  run('edgecontroller', '--server-endpoint', controller)
  run('edgerouter', '--server-endpoint', router, '--configuration-endpoint', tables,
    '--controller-endpoint', controller)
  // Others would see it on the command line.
  const authFile = join(mkdtempSync(join(tmpdir(), 'chain-')), 'openwhisk.auth')
  writeFileSync(authFile, auth, { mode: 0o600 })
  run('edgecomputerwsk', '--server-endpoint', computer, '--utilization-endpoint', '',
    '--controller-endpoint', controller, '--wsk-api-root', url, '--wsk-auth-file', authFile)
  run('wskproxy', '--wsk-api-root', `http://${proxy}`, '--wsk-auth', KEY,
    '--server-endpoint', router, '--table-endpoint', tables)
  const clients = {
    cloud: openwhisk({ apihost: url, api_key: auth }),
    edge: openwhisk({ apihost: `http://${proxy}`, api_key: KEY })
  }
  console.log('$ node')
  console.log('> const openwhisk = require("openwhisk")')
  console.log(`> const cloud = openwhisk({ apihost: "${url}", api_key: … })`)
  console.log(`> const edge = openwhisk({ apihost: "http://${proxy}", api_key: "${KEY}" })`)
  const say = (text) => evaluate(clients, text)
  await eventually('the proxy answers', () => clients.edge.namespaces.list())

  const missing = await say('await edge.actions.get("greet")')
  assert.equal(missing.statusCode, 404)
  const deployed = await say(`(await cloud.actions.update({ name: "greet", action: \`
    function main({ name }) {
      if (!name) throw new Error("nobody to greet")
      console.log("greeting", name)
      return { greeting: "hello, " + name + "!", node: process.version }
    }\` })).version`)
  assert.equal(deployed, '0.0.1')
  await eventually('the edge knows it', () => clients.edge.actions.get('greet'))
  const listed = await say('(await edge.actions.list()).map(({ namespace, name }) => `/${namespace}/${name}`)')
  assert.deepEqual(listed, ['/guest/greet'])

  const params = '{ name: \'Zoë "Z"\' }'
  const greeting = { greeting: 'hello, Zoë "Z"!', node: process.version }
  const own = await say(`await edge.actions.invoke({ name: "greet", blocking: true, result: true, params: ${params} })`)
  assert.deepEqual(own, greeting)
  const { activationId } = await say(`await edge.actions.invoke({ name: "/guest/greet", params: ${params} })`)
  assert.match(activationId, /^[0-9a-f]{32}$/)
  await eventually('it ends', () => clients.edge.activations.get(activationId))
  const record = await say(`await edge.activations.get("${activationId}")`)
  assert.deepEqual(record.response.result, greeting)
  const annotation = (key) => record.annotations.find((one) => one.key === key)?.value
  assert.equal(annotation('soe.responder'), computer)
  assert.equal(annotation('soe.hops'), 2)
  assert.deepEqual((await clients.edge.activations.result(activationId)).result, greeting)

  const failed = await say('await edge.actions.invoke({ name: "greet", blocking: true, result: true })')
  assert.equal(failed.statusCode, 502)
  assert.match(failed.message, /nobody to greet/)

  // As often as it was called, and no more: failures are nobody's reason to call again.
  const there = await clients.cloud.activations.list()
  assert.equal(there.length, 3)
  const [latest] = await say('await cloud.activations.list({ limit: 2 }).then((all) => all.map((one) => one.activationId).slice(1))')
  const { logs } = await say(`await cloud.activations.logs("${latest}")`)
  assert.match(logs[0], /stdout: greeting Zoë "Z"/)

  await say('(await cloud.actions.delete("greet")).name')
  await eventually('it is gone', () => clients.edge.actions.get('greet').then(() => false, () => true))
  const gone = await say('await edge.actions.invoke({ name: "greet", blocking: true })')
  assert.equal(gone.statusCode, 404)
}

let failed = false
try {
  await main()
} catch (error) {
  failed = true
  console.error(error)
}
process.exit(await daemons.end(failed) ? 0 : 1)
