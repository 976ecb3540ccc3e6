// What the API server itself refuses in a region's namespace, as CEL expressions of a ValidatingAdmissionPolicy.
// https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
import { MOVING_TAGS } from './image.ts'

/** A kind's requests, as `matchConstraints.resourceRules` has them. */
export interface ResourceRule {
  readonly apiGroups: readonly string[]
  readonly apiVersions: readonly string[]
  readonly operations: readonly ('CREATE' | 'UPDATE')[]
  readonly resources: readonly string[]
  /** Written out, and so is what else has a default there: left out it looks like a change at every apply. */
  readonly scope: '*'
}

/** A name for an expression, which later expressions read as `variables.<name>`. */
export interface Variable {
  readonly name: string
  readonly expression: string
}

/** An expression that has to be true, and what a refusal says; `messageExpression` names the culprits. */
export interface Validation {
  readonly expression: string
  readonly message: string
  readonly messageExpression?: string
}

/** A set of rules about some kinds. */
export interface AdmissionRules {
  /** What the policy is about; the end of its name. */
  readonly name: string
  readonly resourceRules: readonly ResourceRule[]
  readonly variables: readonly Variable[]
  readonly validations: readonly Validation[]
}

const OPERATIONS = ['CREATE', 'UPDATE'] as const
const on = (group: string, ...resources: string[]): ResourceRule => ({
  apiGroups: [group],
  apiVersions: ['v1'],
  operations: OPERATIONS,
  resources,
  scope: '*'
})

/** A digest, or a tag that is none of those that move: what `findImageProblem` says of an image, for any pod. */
const DIGEST = '@sha256:[0-9a-f]{64}$'
const TAG = ':[A-Za-z0-9_][A-Za-z0-9_.-]*$'
const MOVING = `:(?i:${MOVING_TAGS.join('|')})([^A-Za-z0-9_][A-Za-z0-9_.-]*)?$`
const isPinned = `(c.image.matches('${DIGEST}') || (c.image.matches('${TAG}') && !c.image.matches('${MOVING}')))`
const hasLimits = "has(c.resources) && has(c.resources.limits) && ['cpu', 'memory'].all(r, r in c.resources.limits)"
const listOrNone = (list: string) => `(has(${list}) ? ${list} : [])`
const nameAll = (list: string) => `${list}.map(c, c.name).join(', ')`

/**
 * Pods, and whatever makes them, so that an apply is refused rather than a Deployment left without pods. A debug container
 * can have no limits; its image is looked at, too.
 */
export const POD_RULES: AdmissionRules = {
  name: 'pods',
  resourceRules: [
    on('', 'pods', 'pods/ephemeralcontainers'),
    on('apps', 'deployments', 'statefulsets', 'daemonsets'),
    on('batch', 'jobs', 'cronjobs')
  ],
  variables: [
    // `dyn` because the kinds differ: the API server would check the types of each, and warn of the other's fields.
    { name: 'spec', expression: 'dyn(object.spec)' },
    {
      name: 'podSpec',
      expression:
        'has(variables.spec.jobTemplate) ? variables.spec.jobTemplate.spec.template.spec : has(variables.spec.template) ? variables.spec.template.spec : variables.spec'
    },
    {
      name: 'containers',
      expression: `variables.podSpec.containers + ${listOrNone('variables.podSpec.initContainers')}`
    },
    {
      name: 'unpinned',
      expression: `(variables.containers + ${listOrNone('variables.podSpec.ephemeralContainers')}).filter(c, !(has(c.image) && ${isPinned}))`
    },
    { name: 'unlimited', expression: `variables.containers.filter(c, !(${hasLimits}))` }
  ],
  validations: [
    {
      expression: 'size(variables.unpinned) == 0',
      message: 'pin every image to a version or a digest',
      messageExpression: `'pin the image to a version or a digest: container ' + ${nameAll('variables.unpinned')}`
    },
    {
      expression: 'size(variables.unlimited) == 0',
      message: 'set limits for cpu and memory on every container',
      messageExpression: `'set limits for cpu and memory: container ' + ${nameAll('variables.unlimited')}`
    }
  ]
}

/**
 * Services that lead in from outside the cluster may select the pods of one of `exposable` and no others. A list of what
 * may, rather than of engines: a selector of one label that engines share with everything would pass the latter. Those
 * of the ServiceAccounts `makers`, wherever they are, may select no pod at all: they lead to a proxy that is on the nodes.
 */
export function serviceRules(
  exposable: readonly Readonly<Record<string, string>>[],
  makers: readonly string[] = []
): AdmissionRules {
  const selectsOnly = exposable.map((labels) =>
    Object.entries(labels)
      .map(([key, value]) => `'${key}' in variables.selector && variables.selector['${key}'] == '${value}'`)
      .join(' && ')
  )
  const selectsNone = makers.map(
    (account) =>
      `size(variables.selector) == 0 && request.userInfo.username.matches('^system:serviceaccount:[a-z0-9-]+:${account}$')`
  )
  return {
    name: 'services',
    resourceRules: [on('', 'services')],
    variables: [
      {
        name: 'leadsIn',
        expression:
          "(has(object.spec.type) && object.spec.type in ['LoadBalancer', 'NodePort']) || (has(object.spec.externalIPs) && size(object.spec.externalIPs) > 0)"
      },
      { name: 'selector', expression: 'has(object.spec.selector) ? object.spec.selector : {}' }
    ],
    validations: [
      {
        expression: `!variables.leadsIn || ${[...selectsOnly, ...selectsNone].map((one) => `(${one})`).join(' || ')}`,
        message:
          'only the gateway may be reached from outside: use type ClusterIP, without externalIPs, for a Service of anything else'
      }
    ]
  }
}
