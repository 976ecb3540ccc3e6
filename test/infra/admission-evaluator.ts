// Asks ValidatingAdmissionPolicies about a request as an API server does, with a real implementation of CEL.
// https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
import { type CelInput, isCelError, run } from '@bufbuild/cel'
import { strings } from '@bufbuild/cel/ext'
import type { Manifest } from './stacks.ts'

/** What somebody asks of the API server. */
export interface AdmissionRequest {
  readonly object: Manifest
  /** The object as it was, in an update. */
  readonly oldObject?: Manifest
  /** The plural name, with a subresource: `pods/ephemeralcontainers`. */
  readonly resource: string
  /** Who asks. @default a person */
  readonly username?: string
}

/** What the policies that are bound say against it; nothing when it may pass. */
export function findRefusals(manifests: readonly Manifest[], request: AdmissionRequest): string[] {
  const bound = new Set(
    manifests
      .filter(
        ({ kind, spec }) => kind === 'ValidatingAdmissionPolicyBinding' && spec.validationActions.includes('Deny')
      )
      .map(({ spec }) => spec.policyName)
  )
  return manifests
    .filter(({ kind, metadata }) => kind === 'ValidatingAdmissionPolicy' && bound.has(metadata.name))
    .flatMap((policy) => askPolicy(policy, request))
}

function askPolicy({ spec }: Manifest, request: AdmissionRequest): string[] {
  const { object, oldObject = null, username = 'somebody@example.com' } = request
  const operation = oldObject === null ? 'CREATE' : 'UPDATE'
  if (!isMatched(spec.matchConstraints, request, operation)) return []
  const names = {
    object: toCel(object),
    oldObject: toCel(oldObject),
    request: toCel({ operation, userInfo: { username } })
  }
  const conditions: Manifest[] = spec.matchConditions ?? []
  if (conditions.some(({ expression }) => evaluate(expression, names) !== true)) return []
  const variables = new Map<string, CelInput>()
  for (const { name, expression } of spec.variables ?? []) {
    variables.set(name, evaluate(expression, { ...names, variables }))
  }
  const all = { ...names, variables }
  return spec.validations
    .filter(({ expression }: Manifest) => evaluate(expression, all) !== true)
    .map(({ message, messageExpression }: Manifest) =>
      messageExpression === undefined ? message : evaluate(messageExpression, all)
    )
}

function isMatched(constraints: Manifest, { object, resource }: AdmissionRequest, operation: string): boolean {
  const [group = '', version] = object.apiVersion.includes('/') ? object.apiVersion.split('/') : ['', object.apiVersion]
  const { matchLabels } = constraints.namespaceSelector
  if (matchLabels['kubernetes.io/metadata.name'] !== object.metadata.namespace) return false
  return constraints.resourceRules.some(
    (rule: Manifest) =>
      rule.apiGroups.includes(group) &&
      rule.apiVersions.includes(version) &&
      rule.operations.includes(operation) &&
      rule.resources.includes(resource)
  )
}

/** `join` and its like are Kubernetes' own additions to CEL; they are among the library's extensions. */
function evaluate(expression: string, names: Record<string, CelInput>): CelInput {
  const result = run(expression, names, { funcs: strings })
  if (isCelError(result)) throw new Error(`${expression}: ${result.message}`)
  return result as CelInput
}

/** An object of the API as CEL has it: maps, lists, and whole numbers that are no doubles. */
function toCel(value: Manifest): CelInput {
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
  if (Array.isArray(value)) return value.map(toCel)
  if (typeof value !== 'object' || value === null) return value
  return new Map(Object.entries(value).map(([key, inner]) => [key, toCel(inner)]))
}
