// Walk a headless chromium through pages and print what it asked for, got and complained of, as JSON:
//
//   node visit.mjs MODULES CHROMIUM PORT STEP...
//
// MODULES is the folder that npm installed into, CHROMIUM the browser's program, PORT where the site
// is, on 127.0.0.1. Names under .test lead there too, so http://demo.test:PORT/ is the same site on an
// origin that no browser trusts. A step is
//
//   new          a browser without a memory: an empty cache, no cookies
//   reload       the page again, as the user's key does it
//   http://...   that page; a reload, a link from the page before: as if its address had been typed
//
// The JSON is a list, one entry a step but for `new`: {step, url, complaints, responses, page}.
// Complaints are whatever the console shows as an error or a warning, exceptions, requests that failed.
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'

const [modules, program, port, ...steps] = process.argv.slice(2)
const require = createRequire(path.resolve(modules, 'package.json'))
const { chromium } = require('playwright-core')

// Hears everything that happens in a page until it is asked what there was.
class Witness {
  constructor (page) {
    this.start()
    page.on('console', message => {
      if (['error', 'warning'].includes(message.type())) {
        this.complaints.push(`${message.type()}: ${message.text()}`)
      }
    })
    page.on('pageerror', error => this.complaints.push(`exception: ${error}`))
    page.on('requestfailed', request => {
      // chromium calls a HEAD that was answered aborted, as no body came.
      if (request.method() === 'HEAD') this.finish(request)
      else this.complaints.push(`failed: ${request.url()} ${request.failure()?.errorText}`)
    })
    page.on('requestfinished', request => this.finish(request))
  }

  start () {
    this.complaints = []
    this.finished = []
  }

  finish (request) {
    this.finished.push(this.describe(request))
  }

  // sent: bytes of the body as they came, none or fewer from the browser's own cache.
  async describe (request) {
    const response = await request.response()
    if (response === null) {
      this.complaints.push(`no answer: ${request.method()} ${request.url()}`)
      return null
    }
    return {
      method: request.method(),
      url: request.url(),
      status: response.status(),
      asked: await request.allHeaders(),
      fields: await response.allHeaders(),
      sent: request.method() === 'HEAD' ? 0 : (await request.sizes()).responseBodySize,
      length: request.method() === 'HEAD' ? 0 : (await response.body()).length
    }
  }

  async report () {
    const responses = await Promise.all(this.finished)
    return { complaints: this.complaints, responses: responses.filter(found => found !== null) }
  }
}

// What a reader would see of a page, asked of the page itself.
const look = () => ({
  title: document.title,
  words: [...document.querySelectorAll('h1, h2, p')]
    .map(part => part.textContent).join(' ').split(/\s+/).length,
  font: getComputedStyle(document.body).fontFamily,
  sheets: [...document.styleSheets].map(sheet => sheet.cssRules.length),
  images: [...document.images].map(image => [image.getAttribute('src'), image.naturalWidth]),
  outputs: [...document.querySelectorAll('output')].map(output => output.textContent),
  arrival: document.getElementById('arrival-cache-status')?.textContent
})

async function go (page, step) {
  const until = { waitUntil: 'networkidle', timeout: 60000 }
  if (step === 'reload') await page.reload(until)
  else await page.goto(step, until)
}

async function walk (browser) {
  const reports = []
  let context, page, witness
  for (const step of steps) {
    if (step === 'new') {
      await context?.close()
      context = await browser.newContext()
      page = await context.newPage()
      witness = new Witness(page)
      continue
    }
    witness.start()
    await go(page, step)
    const seen = await page.evaluate(look)
    reports.push({ step, url: page.url(), ...await witness.report(), page: seen })
  }
  return reports
}

const browser = await chromium.launch({
  executablePath: program,
  args: ['--no-sandbox', `--host-resolver-rules=MAP *.test 127.0.0.1:${port}, EXCLUDE 127.0.0.1`]
})
try {
  console.log(JSON.stringify(await walk(browser), null, 2))
} finally {
  await browser.close()
}
