// How much script a reader loads who opens a page directly: the entry, the page, and all that both import. Fails above
// the limit, so that a page grows only when somebody has decided it.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const LIMIT_KB = 265
const ASSETS = join(process.argv[2] ?? fileURLToPath(new URL('dist', import.meta.url)), 'assets')

const files = new Map(
  readdirSync(ASSETS)
    .filter((name) => name.endsWith('.js'))
    .map((name) => {
      const text = readFileSync(join(ASSETS, name))
      const imports = [...text.toString().matchAll(/(?:from|import)\s*["'`]\.\/([^"'`]+\.js)["'`]/g)].map((match) => match[1])
      return [name, { kb: gzipSync(text).length / 1000, imports }]
    })
)

/** The file and everything that it imports at once, directly or not. */
function closure(name, seen = new Set()) {
  if (!seen.has(name)) {
    seen.add(name)
    for (const each of files.get(name)?.imports ?? []) closure(each, seen)
  }
  return seen
}

const html = readFileSync(join(ASSETS, '../index.html'), 'utf8')
const first = [...html.matchAll(/assets\/([^"]+\.js)"/g)].map((match) => match[1])
const pages = [...files.keys()].filter((name) => /^[A-Z][A-Za-z]*Page-/.test(name))
if (first.length === 0 || pages.length === 0) throw new Error(`no entry or no pages in ${ASSETS}; run \`npm run build\``)

let failed = false
for (const page of pages.toSorted()) {
  const seen = closure(page)
  for (const name of first) closure(name, seen)
  const kb = [...seen].reduce((sum, name) => sum + (files.get(name)?.kb ?? 0), 0)
  failed ||= kb > LIMIT_KB
  process.stdout.write(`${page.replace(/-.*/, '').padEnd(14)} ${kb.toFixed(0).padStart(4)} kB gzip${kb > LIMIT_KB ? `, above the limit of ${LIMIT_KB} kB` : ''}\n`)
}
if (failed) process.exitCode = 1
