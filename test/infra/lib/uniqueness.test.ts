// Objects that would overwrite each other are found over the whole app.
import { App, Chart } from 'cdk8s'
import { k8s } from 'cdk8s-plus-28'
import { describe, expect, it } from 'vitest'
import { findDuplicates } from '../../../infra/lib/uniqueness.ts'

function appOf(...services: [chart: string, namespace: string, name: string][]): App {
  const app = new App({ outdir: 'never-written' })
  for (const [chart, namespace, name] of services) {
    new k8s.KubeService(new Chart(app, chart, { namespace }), 'Resource', { metadata: { name }, spec: {} })
  }
  return app
}

describe('findDuplicates', () => {
  it('fails when two charts make the same object, and names both places', () => {
    expect(findDuplicates(appOf(['a', 'ns', 'web'], ['b', 'ns', 'web']))).toEqual([
      'a/Resource, b/Resource: the same object twice: v1 Service web in namespace ns; give one of them another name'
    ])
  })

  it('accepts one name in two namespaces, and two names in one', () => {
    expect(findDuplicates(appOf(['a', 'ns', 'web'], ['b', 'other', 'web'], ['c', 'ns', 'api']))).toEqual([])
  })
})
