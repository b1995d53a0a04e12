import { hash } from 'node:crypto';
import type { DescriptorChildren, DescriptorNode, DescriptorRule } from './descriptors.ts';
import type { RulePlace } from './descriptors-rule.ts';

/** A descriptor as it was written, whatever it was written in. */
export interface WrittenDescriptor {
  /** For faults: where it stands. */
  readonly where: string;
  readonly key: string;
  /** Empty: every value. One that ends in `*` is a prefix. */
  readonly value: string;
  /** All values of a prefix are counted together. */
  readonly shared: boolean;
  /** Makes the rule; `undefined` where it has none. */
  readonly toRule?: (place: RulePlace) => DescriptorRule | undefined;
  readonly descriptors: readonly WrittenDescriptor[];
}

export type ReportDescriptorFault = (where: string, message: string) => void;

/** Builds the tree of one domain; reports what stands there twice. */
export function toDescriptorTree(
  domain: string,
  descriptors: readonly WrittenDescriptor[],
  report: ReportDescriptorFault,
): DescriptorNode {
  return { apart: false, byKey: toChildren([domain], 0, descriptors, report) };
}

/** The steps to a rule: the domain, and of each level the key and, where one is named, the value. */
type Path = readonly (string | readonly string[])[];

function toChildren(
  path: Path,
  values: number,
  descriptors: readonly WrittenDescriptor[],
  report: ReportDescriptorFault,
): ReadonlyMap<string, DescriptorChildren> {
  const byKey = new Map<string, Mutable>();
  for (const written of descriptors) {
    const { where, key, value } = written;
    const children: Mutable = byKey.get(key) ?? { byValue: new Map(), byPrefix: [] };
    byKey.set(key, children);
    const node = toNode([...path, value === '' ? [key] : [key, value]], values, written, report);
    if (value === '' ? children.byDefault !== undefined : children.byValue.has(value)) {
      report(where, `\`${key}\`${value === '' ? '' : ` with the value \`${value}\``} stands here twice`);
    } else if (value === '') children.byDefault = node;
    else {
      // A prefix is the literal of its own text too, and so goes before prefixes that were written earlier.
      children.byValue.set(value, node);
      if (isPrefix(value)) children.byPrefix.push({ prefix: value.slice(0, -1), node });
    }
  }
  return byKey;
}

interface Mutable {
  readonly byValue: Map<string, DescriptorNode>;
  readonly byPrefix: { readonly prefix: string; readonly node: DescriptorNode }[];
  byDefault?: DescriptorNode;
}

function isPrefix(value: string): boolean {
  return value.endsWith('*');
}

function toNode(
  path: Path,
  valuesBefore: number,
  written: WrittenDescriptor,
  report: ReportDescriptorFault,
): DescriptorNode {
  const { where, key, value, shared, toRule, descriptors } = written;
  if (isPrefix(key)) report(where, `the key \`${key}\` ends in \`*\`: only a value can be a prefix`);
  if (shared && !isPrefix(value)) report(where, '`share_threshold` goes with a value that ends in `*` only');
  const apart = value === '' || (isPrefix(value) && !shared);
  const values = valuesBefore + (apart ? 1 : 0);
  const rule = toRule?.({ name: ruleName(path), values });
  return { ...(rule === undefined ? {} : { rule }), apart, byKey: toChildren(path, values, descriptors, report) };
}

/** One for each path, and as short as the name of a charge must be. */
export function ruleName(path: readonly unknown[]): string {
  const text = JSON.stringify(path);
  return text.length <= MAX_NAME ? text : `sha256:${hash('sha256', text)}`;
}

const MAX_NAME = 128;
