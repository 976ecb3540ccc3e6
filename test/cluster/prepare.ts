// Builds every program of a cluster and fetches every module, so that no test waits for a download: `npm run test:cluster:prepare`.
import { readDefinitions } from './harness/crds.ts'
import { buildAllPrograms } from './harness/programs.ts'

await readDefinitions()
await buildAllPrograms()
