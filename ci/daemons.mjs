// Programs of this project as processes: started on free ports, waited for, ended in order.

import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'

const PATIENCE = 20_000

/** Waits for a condition; returns what it gave. */
export async function eventually (what, condition) {
  const deadline = Date.now() + PATIENCE
  let last
  while (Date.now() < deadline) {
    try {
      const value = await condition()
      if (value) return value
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`never happened: ${what}`, { cause: last })
}

/** An end-point of the loopback that nobody uses at the moment. */
export async function endpoint () {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return `127.0.0.1:${port}`
}

/** Processes that begin and end together. */
export class Daemons {
  #folder
  #children = []

  constructor (folder) {
    this.#folder = folder
  }

  /** Starts a program of the folder; what it prints first is `line`, what it logs `log`. */
  start (name, ...options) {
    const child = spawn(join(this.#folder, name), options, { stdio: ['ignore', 'pipe', 'pipe'] })
    child.title = name
    child.log = ''
    child.stderr.on('data', (data) => { child.log = (child.log + data).slice(-100_000) })
    child.line = new Promise((resolve) => {
      let printed = ''
      child.stdout.on('data', (data) => {
        printed = (printed + data).slice(-100_000)
        if (printed.includes('\n')) resolve(printed.split('\n')[0])
      })
    })
    child.exit = new Promise((resolve) => {
      child.on('exit', resolve)
      child.on('error', (error) => {
        child.log += error
        resolve(error)
      })
    })
    this.#children.push(child)
    return child
  }

  /** Starts a daemon, which needs no admin endpoint here. */
  daemon (name, ...options) {
    return this.start(name, ...options, '--admin-endpoint', '')
  }

  /** Ends all, the latest first; says whether all of them ended well. */
  async end (failed = false) {
    for (const child of this.#children.reverse()) {
      child.kill('SIGINT')
      const late = setTimeout(() => child.kill('SIGKILL'), PATIENCE)
      const code = await child.exit
      clearTimeout(late)
      if (code !== 0) {
        failed = true
        console.error(`${child.title} ended with ${code}`)
      }
      if (failed) console.error(`--- ${child.title}\n${child.log}`)
    }
    return !failed
  }
}
