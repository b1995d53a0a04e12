import type { Certificate } from './certificate.ts';
import type { PathLimit } from './extensions.ts';

const ANY_POLICY = '2.5.29.32.0';

/**
 * Whether the policies of a chain, the end's certificate first, satisfy what its certificates ask for (RFC 5280 §6.1
 * with RFC 9618), where the one who verifies takes any policy and forbids none.
 */
export function policiesHold(chain: readonly Certificate[]): boolean {
  const below = chain.slice(0, -1);
  let graph: PolicyGraph | undefined = new PolicyGraph();
  const limits = { inhibitAny: chain.length, explicit: chain.length, mapping: chain.length };
  for (const [at, certificate] of [...below.entries()].reverse()) {
    const { data } = certificate;
    const selfIssued = certificate.rawIssuer.equals(certificate.rawSubject);
    if (data.policies === undefined || data.policies.length === 0) graph = undefined;
    if (limits.explicit === 0 && graph === undefined) return false;
    graph?.addCertificate(data.policies ?? [], limits.inhibitAny > 0 || (at > 0 && selfIssued));
    if (at === 0) break;
    if (graph !== undefined && !applyMappings(graph, certificate, limits.mapping > 0)) return false;
    if (!selfIssued) {
      limits.explicit = Math.max(0, limits.explicit - 1);
      limits.mapping = Math.max(0, limits.mapping - 1);
      limits.inhibitAny = Math.max(0, limits.inhibitAny - 1);
    }
    limits.explicit = lower(limits.explicit, data.requireExplicitPolicy);
    limits.mapping = lower(limits.mapping, data.inhibitPolicyMapping);
    limits.inhibitAny = lower(limits.inhibitAny, data.inhibitAnyPolicy);
  }
  const required = chain[0]?.data.requireExplicitPolicy;
  const explicit = required?.set && required.value === 0 ? 0 : Math.max(0, limits.explicit - 1);
  return chain.length === 1 || explicit > 0 || (graph?.isSatisfied() ?? false);
}

function lower(current: number, { set, value }: PathLimit): number {
  return set ? Math.min(current, value) : current;
}

/** Answers whether the mappings are allowed ones. */
function applyMappings(graph: PolicyGraph, { data: { policyMappings } }: Certificate, mayMap: boolean): boolean {
  if (policyMappings.length === 0) return true;
  const mapped = new Map<string, string[]>();
  for (const { issuer, subject } of policyMappings) {
    if (!mayMap) {
      graph.removeLeaf(issuer);
      continue;
    }
    if (issuer === ANY_POLICY || subject === ANY_POLICY) return false;
    const subjects = mapped.get(issuer);
    if (subjects === undefined) mapped.set(issuer, [subject]);
    else subjects.push(subject);
  }
  graph.prune();
  for (const [issuer, subjects] of mapped) graph.expect(issuer, subjects);
  return true;
}

/** A policy that is valid down to some certificate, and what the next below may call it. */
interface PolicyNode {
  readonly policy: string;
  expected: readonly string[];
  readonly parents: Set<PolicyNode>;
  readonly children: Set<PolicyNode>;
}

type Level = Map<string, PolicyNode>;

/** RFC 9618 §5: one level of nodes for each certificate, at most one node for each policy. */
class PolicyGraph {
  readonly #levels: Level[] = [new Map([[ANY_POLICY, makeNode(ANY_POLICY, [])]])];

  addCertificate(policies: readonly string[], anyAllowed: boolean): void {
    const above = this.#leaves();
    const level: Level = new Map();
    this.#levels.push(level);
    const expecting = new Map<string, PolicyNode[]>();
    for (const node of above.values()) {
      for (const expected of node.expected) {
        const known = expecting.get(expected);
        if (known === undefined) expecting.set(expected, [node]);
        else known.push(node);
      }
    }
    const anyPolicy = above.get(ANY_POLICY);
    for (const policy of policies) {
      if (policy === ANY_POLICY) continue;
      const parents = expecting.get(policy) ?? (anyPolicy === undefined ? [] : [anyPolicy]);
      if (parents.length > 0) level.set(policy, makeNode(policy, parents));
    }
    if (policies.includes(ANY_POLICY) && anyAllowed) {
      for (const [expected, parents] of expecting) {
        if (!level.has(expected)) level.set(expected, makeNode(expected, parents));
      }
    }
    this.prune();
  }

  /** Drops what leads to no leaf. */
  prune(): void {
    for (const level of this.#levels.slice(1, -1).reverse()) {
      for (const [policy, node] of level) {
        if (node.children.size > 0) continue;
        for (const parent of node.parents) parent.children.delete(node);
        level.delete(policy);
      }
    }
  }

  removeLeaf(policy: string): void {
    const leaf = this.#leaves().get(policy);
    for (const parent of leaf?.parents ?? []) if (leaf !== undefined) parent.children.delete(leaf);
    this.#leaves().delete(policy);
  }

  expect(policy: string, subjects: readonly string[]): void {
    const leaves = this.#leaves();
    const anyPolicy = leaves.get(ANY_POLICY);
    const leaf = leaves.get(policy) ?? (anyPolicy && makeNode(policy, [anyPolicy]));
    if (leaf === undefined) return;
    leaf.expected = subjects;
    leaves.set(policy, leaf);
  }

  /** Whether any policy is left that is valid for the whole chain. */
  isSatisfied(): boolean {
    if (this.#leaves().has(ANY_POLICY)) return true;
    return this.#levels.some((level) =>
      [...level.values()].some(
        ({ policy, parents }) =>
          policy !== ANY_POLICY && parents.size === 1 && [...parents].some((parent) => parent.policy === ANY_POLICY),
      ),
    );
  }

  #leaves(): Level {
    return this.#levels[this.#levels.length - 1] ?? new Map();
  }
}

function makeNode(policy: string, parents: readonly PolicyNode[]): PolicyNode {
  const node: PolicyNode = { policy, expected: [policy], parents: new Set(parents), children: new Set() };
  for (const parent of parents) parent.children.add(node);
  return node;
}
