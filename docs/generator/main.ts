// `npm run docs`: writes docs/constructs.md.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderReference } from './reference.ts'
import { readModules } from './sources.ts'

const PAGE = join(import.meta.dirname, '../constructs.md')

writeFileSync(PAGE, renderReference(readModules()))
console.log('docs/constructs.md')
