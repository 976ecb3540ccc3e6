// Lets the API server refuse, in one namespace, what no manifest of a region would hold: a ValidatingAdmissionPolicy and its binding.
import { ApiObject } from 'cdk8s'
import { Construct } from 'constructs'
import { type AdmissionRules, POD_RULES, serviceRules } from '../lib/admission-rules.ts'
import { labelsOf } from '../lib/labels.ts'

/** Properties of `AdmissionPolicies`. */
export interface AdmissionPoliciesProps {
  /** The only namespace that the policies look at; it begins their names, which are the whole cluster's. */
  readonly namespace: string
  /** The labels of pods that a Service may show to the outside, each set as selectors have it. */
  readonly exposable: readonly Readonly<Record<string, string>>[]
  /** ServiceAccounts whose Services may select no pod: those of a controller whose proxy is on the nodes. @default none */
  readonly makers?: readonly string[]
  /** `deny` refuses a request; `warn` lets it pass with a warning to whoever sent it and a line in the audit log. @default deny */
  readonly action?: 'deny' | 'warn'
}

/** Two policies, about pods and about Services. They need Kubernetes 1.30, whose API server has them as v1. */
export class AdmissionPolicies extends Construct {
  constructor(scope: Construct, id: string, props: AdmissionPoliciesProps) {
    super(scope, id)
    for (const rules of [POD_RULES, serviceRules(props.exposable, props.makers)]) this.#add(rules, props)
  }

  #add(rules: AdmissionRules, { namespace, action = 'deny' }: AdmissionPoliciesProps): void {
    const name = `${namespace}-${rules.name}`
    const apiVersion = 'admissionregistration.k8s.io/v1'
    const metadata = {
      name,
      labels: labelsOf({ name: 'sluice-admission', instance: namespace, component: 'admission' })
    }
    new ApiObject(this, `${rules.name}-policy`, {
      apiVersion,
      kind: 'ValidatingAdmissionPolicy',
      metadata,
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          // Defaults, but the API server owns all of this or nothing of it: what it adds would conflict with an apply.
          matchPolicy: 'Equivalent',
          objectSelector: {},
          // On the policy itself, so that no other binding can widen it.
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
          resourceRules: rules.resourceRules
        },
        // Labels and finalizers of what is older than the policy may still be changed, or it could never be deleted.
        matchConditions: [
          { name: 'spec-is-new', expression: "request.operation == 'CREATE' || object.spec != oldObject.spec" }
        ],
        variables: rules.variables,
        validations: rules.validations.map((validation) => ({ ...validation, reason: 'Forbidden' }))
      }
    })
    new ApiObject(this, `${rules.name}-binding`, {
      apiVersion,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata,
      spec: { policyName: name, validationActions: action === 'deny' ? ['Deny'] : ['Warn', 'Audit'] }
    })
  }
}
