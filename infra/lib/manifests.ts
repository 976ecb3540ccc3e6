// Writes an app's charts as files, one folder a region, and clears away those that an earlier run left.
import { existsSync, globSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type App, Yaml } from 'cdk8s'

/** The first line of every file, by which a file that may be deleted is known. */
const HEADER = '# Generated from infra/stack.ts by `npm run synth`; edits here are lost.\n'

/**
 * Writes each chart that has objects to `<outdir>/<path of the chart>.yaml` and returns the files, sorted, relative to `outdir`.
 * cdk8s itself can only write folders by chart with a file by object, where a Namespace does not sort first.
 */
export function writeManifests(app: App, outdir: string): string[] {
  const manifests = app.charts
    .map((chart) => ({ file: `${chart.node.path}.yaml`, objects: chart.toJson() }))
    .filter(({ objects }) => objects.length > 0)
    .map(({ file, objects }) => ({ file, text: HEADER + Yaml.stringify(...objects) }))
    .sort((a, b) => (a.file < b.file ? -1 : 1))
  removeManifests(outdir)
  for (const { file, text } of manifests) {
    mkdirSync(dirname(join(outdir, file)), { recursive: true })
    writeFileSync(join(outdir, file), text)
  }
  return manifests.map(({ file }) => file)
}

/** Removes generated files only: an `outdir` given by mistake loses nothing. */
function removeManifests(outdir: string): void {
  if (!existsSync(outdir)) return
  for (const file of globSync('*/*.yaml', { cwd: outdir })) {
    if (readFileSync(join(outdir, file), 'utf8').startsWith(HEADER)) rmSync(join(outdir, file))
  }
  for (const folder of globSync('*/', { cwd: outdir })) {
    if (globSync('{*,.*}', { cwd: join(outdir, folder) }).length === 0) rmdirSync(join(outdir, folder))
  }
}
