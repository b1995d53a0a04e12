import { isObject } from '../decision/json.ts';
import { HOLDS } from './bucket-terms.ts';
import type { DescriptorNode, DescriptorTable } from './descriptors/descriptors.ts';

/**
 * The names of limits that bundles and limits files give. A policy can call a charge whatever a request says, and a
 * caller's own limit is named by his descriptors: of these no metric and no log line tells the name.
 */
export function limitNames(catalog: unknown, { domains }: DescriptorTable): ReadonlySet<string> {
  const limits = isObject(catalog) && isObject(catalog['limits']) ? Object.keys(catalog['limits']) : [];
  const names = new Set([...limits, HOLDS]);
  for (const tree of domains.values()) addRules(tree, names);
  return names;
}

function addRules({ rule, byKey }: DescriptorNode, names: Set<string>): void {
  if (rule?.kind === 'limit') names.add(rule.terms.name);
  for (const { byValue, byDefault } of byKey.values()) {
    for (const node of byValue.values()) addRules(node, names);
    if (byDefault !== undefined) addRules(byDefault, names);
  }
}
