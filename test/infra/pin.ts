// `npm run pin`: writes the identities of every object, at a release, for later versions to be held against.
import { writeFileSync } from 'node:fs'
import { identitiesOf } from './identity.ts'
import { RELEASED_STACK } from './released-stack.ts'
import { manifestsOf } from './stacks.ts'

const FILE = new URL('./released.json', import.meta.url)

writeFileSync(FILE, `${JSON.stringify(identitiesOf(manifestsOf(RELEASED_STACK)), null, 2)}\n`)
console.log('test/infra/released.json')
