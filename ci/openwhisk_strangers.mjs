#!/usr/bin/env node
// Lets OpenWhisk's own JavaScript client, as it is published, use wskproxy in front of a real
// controller, computer and router; then has schemathesis ask it for anything that its OpenAPI
// document allows, and for what it does not.
//
// usage: openwhisk_strangers.mjs FOLDER_OF_PROGRAMS FOLDER_OF_MODULES SCHEMATHESIS

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Daemons, endpoint, eventually } from './daemons.mjs'

const [programs, modules, schemathesis] = process.argv.slice(2).map((path) => resolve(path))
const openwhisk = createRequire(join(modules, 'package.json'))('openwhisk')
const daemons = new Daemons(programs)
const folder = mkdtempSync(join(tmpdir(), 'wskproxy-'))

const UUID = '23bc46b1-71f6-4ed5-8c54-816aa4f8c502'
const KEY = '123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP'

// What the computer serves: functions that answer their input, or always the same.
const OUTPUTS = {
  copy: null,
  '/guest/tools/hammer': null,
  text: 'say "hi"\nZürich \u{1F680}',
  array: '[1,{"a":[]},"three"]',
  nested: '{"a":{"b":[null,{"c":"\\""}]}}',
  failing: '{"error":"as designed"}',
  slow: '{"slept":true}'
}

function platform () {
  const container = ([name, output], index) => ({
    name: `container${index}`,
    processor: 'cpu',
    'num-workers': 4,
    lambda: {
      name,
      requirements: 'proportional',
      'op-coeff': 0,
      'op-offset': name === 'slow' ? 3e9 : 1e6,
      'mem-coeff': 0,
      'mem-offset': 1,
      ...(output === null ? {} : { 'output-type': 'fixed', 'output-value': output })
    }
  })
  return {
    version: '1.0',
    processors: [{ name: 'cpu', type: 'GenericCpu', speed: 1e9, cores: 8, memory: 1e9 }],
    containers: Object.entries(OUTPUTS).map(container)
  }
}

const refused = (promise, statusCode) => assert.rejects(promise, (error) => {
  assert.equal(error.statusCode, statusCode, error.message)
  return true
})

async function actions (ow) {
  const listed = await eventually('all lambdas are listed', async () => {
    const list = await ow.actions.list()
    return list.length === Object.keys(OUTPUTS).length && list
  })
  assert.deepEqual(listed.map(({ namespace }) => namespace).sort().at(-1), 'guest/tools')
  assert.deepEqual(await ow.actions.list({ count: true }), { actions: listed.length })
  assert.equal((await ow.actions.list({ limit: 2, skip: 1 })).length, 2)
  const action = await ow.actions.get('tools/hammer')
  assert.equal(action.name, 'hammer')
  await refused(ow.actions.get('nobody'), 404)
  await refused(ow.actions.create({ name: 'code', action: 'function main () {}' }), 501)
}

async function invocations (ow) {
  const params = { quote: '"', newline: '\n', umlaut: 'ü', nested: [{ a: [] }] }
  const record = await ow.actions.invoke({ name: 'copy', blocking: true, params })
  assert.deepEqual(record.response.result, params)
  assert.equal(record.response.success, true)
  for (const name of ['copy', '/guest/copy', '/_/copy', 'tools/hammer', '/guest/tools/hammer']) {
    const result = await ow.actions.invoke({ name, blocking: true, result: true, params })
    assert.deepEqual(result, params, name)
  }
  const result = (name) => ow.actions.invoke({ name, blocking: true, result: true })
  assert.deepEqual(await result('text'), { payload: OUTPUTS.text })
  assert.deepEqual(await result('array'), JSON.parse(OUTPUTS.array))
  assert.deepEqual(await result('nested'), JSON.parse(OUTPUTS.nested))

  const { activationId } = await ow.actions.invoke({ name: 'slow' })
  assert.match(activationId, /^[0-9a-f]{32}$/)
  const slow = await eventually('the slow one ends', () => ow.activations.get(activationId))
  assert.deepEqual(slow.response.result, { slept: true })

  // What takes longer than one may wait goes on, and is there in the end.
  await assert.rejects(result('slow'), ({ activationId }) => {
    assert.match(activationId, /^[0-9a-f]{32}$/)
    return true
  })

  await assert.rejects(result('failing'), (error) => {
    assert.equal(error.statusCode, 502)
    assert.match(error.message, /as designed/)
    assert.equal(error.error.response.status, 'application error')
    return true
  })
  await refused(ow.actions.invoke({ name: 'nobody', blocking: true }), 404)
  await refused(ow.actions.invoke({ name: '/other/copy', blocking: true }), 403)
  await refused(ow.actions.invoke({ name: 'nobody' }), 404)
}

async function activations (ow) {
  const { activationId } = await ow.actions.invoke({ name: 'copy', blocking: true, params: { a: 1 } })
  assert.deepEqual((await ow.activations.result(activationId)).result, { a: 1 })
  assert.deepEqual(await ow.activations.logs(activationId), { logs: [] })
  assert.equal((await ow.activations.list({ limit: 1 }))[0].activationId, activationId)
  const named = await ow.activations.list({ name: 'text', docs: true })
  assert.ok(named.length > 0 && named.every(({ name }) => name === 'text'))
  assert.ok((await ow.activations.list({ count: true })).activations > 5)
  await refused(ow.activations.get('0'.repeat(32)), 404)
  await refused(ow.activations.get('short'), 400)
}

async function registrations (ow) {
  await ow.packages.update({ name: 'box', package: { parameters: [{ key: 'size', value: 3 }] } })
  const packages = await ow.packages.list()
  assert.deepEqual(packages.map(({ name }) => name).sort(), ['box', 'tools'])
  assert.equal((await ow.packages.get('tools')).actions[0].name, 'hammer')
  const alias = { name: 'box/greet', kind: 'soe:lambda', action: 'copy', params: { who: 'you' } }
  await ow.actions.create(alias)
  await refused(ow.actions.create(alias), 409)
  await ow.actions.update(alias)
  await ow.actions.create({ name: 'twice', sequence: ['/_/box/greet', '/_/copy'] })
  const record = await ow.actions.invoke({ name: 'twice', blocking: true, params: { a: 1 } })
  assert.deepEqual(record.response.result, { a: 1, who: 'you', size: 3 })
  assert.equal(record.logs.length, 2)
  assert.equal((await ow.activations.get(record.logs[0])).cause, record.activationId)
  await ow.actions.delete('twice')
  await ow.actions.delete('box/greet')
  await ow.packages.delete('box')
  await refused(ow.packages.get('box'), 404)
}

async function namespaces (ow, apihost) {
  assert.deepEqual(await ow.namespaces.list(), ['guest'])
  const all = await ow.namespaces.get('guest')
  assert.equal(all.actions.length, Object.keys(OUTPUTS).length)
  assert.deepEqual([all.triggers, all.rules], [[], []])
  const stranger = openwhisk({ apihost, api_key: `${UUID}:wrong` })
  await refused(stranger.actions.list(), 401)
  await refused(ow.triggers.create({ name: 't' }), 501)
}

// Whether a retry by the client itself executes a failure again, if the requests have a name.
async function retries (apihost) {
  process.env.__OW_TRANSACTION_ID = 'strangers-1'
  const ow = openwhisk({ apihost, api_key: `${UUID}:${KEY}`, retry: { retries: 2 } })
  const before = (await ow.activations.list({ name: 'failing', count: true })).activations
  await refused(ow.actions.invoke({ name: 'failing', blocking: true, params: { once: 1 } }), 502)
  const after = (await ow.activations.list({ name: 'failing', count: true })).activations
  delete process.env.__OW_TRANSACTION_ID
  assert.equal(after, before + 1)
}

// Some answers of 5xx are meant, where the document has them; any other one is found.
async function fuzz (apihost) {
  writeFileSync(join(folder, 'schemathesis.toml'),
    '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", 501, 502, 503]\n' +
    '[parameters]\n"path.namespace" = "_"\n')
  const run = spawn(schemathesis, [
    'run', `${apihost}/api-docs`, '--url', apihost, '--auth', `${UUID}:${KEY}`,
    // What is well-formed can still make no sense; and what is not asked for is ignored, because
    // clients of OpenWhisk send more than its interface knows.
    '--exclude-checks', 'positive_data_acceptance,negative_data_rejection',
    '--phases', 'examples,coverage,fuzzing', '--max-examples', '30', '--seed', '1',
    '--continue-on-failure', '--request-timeout', '10', '--workers', '1'
  ], { stdio: 'inherit', cwd: folder, timeout: 400_000 })
  const code = await new Promise((resolve) => run.on('exit', resolve))
  assert.equal(code, 0, 'schemathesis found something')
}

async function main () {
  const [controller, computer, router, tables, proxy] =
    await Promise.all([...Array(5)].map(endpoint))
  writeFileSync(join(folder, 'platform.json'), JSON.stringify(platform()))
  writeFileSync(join(folder, 'credentials'), `guest ${UUID} ${KEY}\n`, { mode: 0o600 })
  daemons.daemon('edgecontroller', '--server-endpoint', controller)
  daemons.daemon('edgecomputer', '--server-endpoint', computer, '--utilization-endpoint', '',
    '--controller-endpoint', controller, '--conf', `type=file,path=${join(folder, 'platform.json')}`)
  daemons.daemon('edgerouter', '--server-endpoint', router, '--configuration-endpoint', tables,
    '--controller-endpoint', controller)
  const apihost = `http://${proxy}`
  writeFileSync(join(folder, 'proxy.toml'), '[invoke]\nmax-wait = "1500ms"\n')
  daemons.daemon('wskproxy', '--conf', join(folder, 'proxy.toml'), '--wsk-api-root', apihost, '--server-endpoint', router,
    '--table-endpoint', tables, '--auth-file', join(folder, 'credentials'),
    '--journal', join(folder, 'journal'))
  const ow = openwhisk({ apihost, api_key: `${UUID}:${KEY}` })
  await eventually('the proxy answers', () => ow.namespaces.list())

  for (const part of [actions, invocations, activations, registrations, namespaces]) {
    await part(ow, apihost)
    console.log(`ok: ${part.name}`)
  }
  await retries(apihost)
  console.log('ok: retries')
  await fuzz(apihost)
  assert.deepEqual(await ow.namespaces.list(), ['guest'])
  console.log('ok: schemathesis')
}

let failed = false
try {
  await main()
} catch (error) {
  failed = true
  console.error(error)
}
process.exit(await daemons.end(failed) ? 0 : 1)
