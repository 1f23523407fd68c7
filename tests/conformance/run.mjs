// Run the public suite of HTTP caches against a cache and print what became of each test, as JSON:
//
//   node run.mjs MODULES                      every test, without running it
//   node run.mjs MODULES BASE [ID...]         the tests (all, or those named) through the cache at BASE
//   node run.mjs MODULES BASE --dump ID       one test, with the heads its client sees before the JSON
//   node run.mjs MODULES BASE --coded [ID...] through a cache that compresses: its client is not shown
//                                             what that adds to ETag and Vary
//
// MODULES is the folder that npm installed into. The JSON is {id: {suite, kind, name, depends_on,
// result, late}}: result is true or [what kind of failure, why], late says what kept the test from
// its own timing (below), if anything did.
import http from 'node:http'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'

const AT_ONCE = 100 // tests under way at a time: README.md says why

// The suite means its steps to follow each other at once, or after its one pause.
const PAUSE_MS = 3000
const SLACK_MS = 400

const [modules, base, ...words] = process.argv.slice(2)
const options = new Set(words.filter(word => word.startsWith('--')))
const chosen = words.filter(word => !word.startsWith('--'))
const load = file => import(path.resolve(modules, 'node_modules', file))

async function loadGroups () {
  const { default: groups } = await load('http-cache-tests/tests/index.mjs')
  const { default: surrogate } = await load('http-cache-tests/tests/surrogate-control.mjs')
  groups.push(surrogate) // as the package's own cli does
  for (const group of groups) {
    group.tests = group.tests.filter(test => test.browser_only !== true)
  }
  return groups
}

function describe (groups) {
  const tests = {}
  for (const group of groups) {
    for (const test of group.tests) {
      tests[test.id] = {
        suite: group.id,
        kind: test.kind ?? 'required',
        name: test.name,
        depends_on: test.depends_on ?? []
      }
    }
  }
  return tests
}

function choose (groups, tests, ids) {
  for (const id of ids) {
    if (!(id in tests)) throw new Error(`the suite has no test ${id}`)
  }
  for (const group of groups) group.tests = group.tests.filter(test => ids.includes(test.id))
}

// The tests compare these with what their server sent. A gzip form is another representation, and says
// so: W/"abc~gzip" is made of "abc".
function hideCoding (headers) {
  const made = /^W\/("[^"]*)~gzip"$/.exec(headers.get('etag') ?? '')
  if (made) headers.set('etag', `${made[1]}"`)
  const names = (headers.get('vary') ?? '').split(/, */)
  const vary = names.filter(name => name.toLowerCase() !== 'accept-encoding')
  if (vary.join() !== '') headers.set('vary', vary.join(', '))
  else headers.delete('vary')
}

// Notes for each test's URL when a step took longer than it should.
class Watch {
  constructor (fetch) {
    this.inner = fetch
    // A cache may close an idle connection in the very moment in which the next request is sent.
    this.agent = new http.Agent({ keepAlive: false })
    this.ends = new Map()
    this.notes = new Map()
  }

  note (token, text) {
    if (!this.notes.has(token)) this.notes.set(token, text)
  }

  async fetch (url, init) {
    const token = new URL(url).pathname.split('/')[2]
    const begin = performance.now()
    const since = begin - (this.ends.get(token) ?? begin)
    const pause = since > PAUSE_MS / 2 ? PAUSE_MS : 0
    if (Math.abs(since - pause) > SLACK_MS) {
      this.note(token, `a step came ${Math.round(since)} ms after the one before it`)
    }
    try {
      const response = await this.inner(url, { ...init, agent: this.agent })
      if (options.has('--coded')) hideCoding(response.headers)
      return response
    } finally {
      const end = performance.now()
      if (end - begin > SLACK_MS) {
        this.note(token, `an answer took ${Math.round(end - begin)} ms`)
      }
      this.ends.set(token, end)
    }
  }
}

async function run (groups, tests) {
  const { runTests, getResults } = await load('http-cache-tests/client/runner.mjs')
  const { testUUIDs } = await load('http-cache-tests/client/test.mjs')
  const { default: fetch } = await load('node-fetch/lib/index.mjs')
  const watch = new Watch(fetch)
  await runTests(groups, (url, init) => watch.fetch(url, init), false, base, AT_ONCE)
  for (const [id, result] of Object.entries(getResults())) {
    tests[id].result = result
    tests[id].late = watch.notes.get(testUUIDs[id])
  }
}

const groups = await loadGroups()
if (chosen.length > 0) choose(groups, describe(groups), chosen)
const tests = describe(groups)
if (options.has('--dump')) groups.forEach(group => group.tests.forEach(test => { test.dump = true }))
if (base !== undefined) await run(groups, tests)
console.log(JSON.stringify(tests, null, 2))
