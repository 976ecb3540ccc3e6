// A policy scanner that platform teams run over manifests, and what it says of charts-out/.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findProgram, isMissing } from '../helpers/program.ts'
import { EXCEPTIONS } from './checkov-exceptions.ts'

const CHECKOV = findProgram('.cache/checkov/bin/checkov', 'checkov')

interface Finding {
  readonly check_id: string
  readonly check_name: string
  readonly resource: string
}

interface Report {
  readonly summary: { readonly failed: number; readonly parsing_errors: number; readonly resource_count: number }
  readonly results: { readonly failed_checks: readonly Finding[] }
}

/** Scans a directory with every check of the framework; nothing is asked of the network. */
function scan(directory: string): Report {
  const options = ['--framework', 'kubernetes', '--skip-download', '--quiet', '--compact', '--soft-fail', '-o', 'json']
  return JSON.parse(execFileSync(CHECKOV ?? 'checkov', ['-d', directory, ...options], { encoding: 'utf8' }))
}

const isExcepted = ({ check_id, resource }: Finding) =>
  EXCEPTIONS.some(({ check, objects }) => check === check_id && objects.test(resource))

const BAD_POD = `
apiVersion: v1
kind: Pod
metadata: { name: bad, namespace: default }
spec:
  hostIPC: true
  containers:
    - { name: bad, image: busybox, securityContext: { privileged: true } }
`

const remedy = 'python3 -m venv .cache/checkov && .cache/checkov/bin/pip install checkov==3.3.30'
describe.skipIf(isMissing(CHECKOV, 'the policy scan of charts-out/', remedy))('checkov', () => {
  it('finds nothing in charts-out/ but what is argued, and every argument is needed', () => {
    const { summary, results } = scan('charts-out')
    expect(summary.resource_count).toBeGreaterThan(40)
    expect(summary.parsing_errors).toBe(0)
    const unexpected = results.failed_checks.filter((finding) => !isExcepted(finding))
    expect(unexpected.map(({ check_id, check_name, resource }) => `${check_id} ${resource}: ${check_name}`)).toEqual([])
    const needed = ({ check, objects }: (typeof EXCEPTIONS)[number]) =>
      results.failed_checks.some(({ check_id, resource }) => check_id === check && objects.test(resource))
    expect(EXCEPTIONS.filter((exception) => !needed(exception))).toEqual([])
  })

  it('would find a pod that shares its node and may do everything', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sluice-scan-'))
    try {
      writeFileSync(join(directory, 'pod.yaml'), BAD_POD)
      const found = scan(directory).results.failed_checks.filter((finding) => !isExcepted(finding))
      // shares the node's IPC; privileged; no tag; no limits of CPU and memory
      expect(found.map(({ check_id }) => check_id)).toEqual(
        expect.arrayContaining(['CKV_K8S_18', 'CKV_K8S_16', 'CKV_K8S_14', 'CKV_K8S_11', 'CKV_K8S_13'])
      )
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
