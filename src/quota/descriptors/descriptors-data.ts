import { parseChargeTerms } from '../../decision/charge-terms.ts';
import { quoted, RequestFault } from '../../decision/errors.ts';
import { isObject } from '../../decision/json.ts';
import type { DescriptorNode, DescriptorRule, DescriptorTable } from './descriptors.ts';
import { type RulePlace, toLimitRule } from './descriptors-rule.ts';
import { type ReportDescriptorFault, toDescriptorTree, type WrittenDescriptor } from './descriptors-tree.ts';

/**
 * Compiles `catalog.ratelimit` of the bundles' data: `{"<domain>": {"descriptors": [{key, value?, limits?, …}]}}`.
 * Every fault is reported, with its path; a table of which one was reported must not be put in force. No data is no
 * rules.
 */
export function compileDescriptors(data: unknown, report: ReportDescriptorFault): DescriptorTable {
  const domains = new Map<string, DescriptorNode>();
  if (data === undefined) return { domains };
  if (!isObject(data)) {
    report(ROOT, 'is no object of domains');
    return { domains };
  }
  for (const [domain, value] of Object.entries(data)) {
    const where = `${ROOT}.${domain}`;
    if (domain === '' || domain.length > MAX_KEY) report(where, 'is no name of a domain');
    if (!isObject(value)) {
      report(where, 'is no object');
      continue;
    }
    reportUnknown(value, DOMAIN_KEYS, where, report);
    const descriptors = readList(value['descriptors'], `${where}.descriptors`, 1, report);
    domains.set(domain, toDescriptorTree(domain, descriptors, report));
  }
  return { domains };
}

const ROOT = 'catalog.ratelimit';
const MAX_KEY = 256;
const MAX_VALUE = 1024;
const MAX_DEPTH = 16;
const DOMAIN_KEYS: ReadonlySet<string> = new Set(['descriptors']);
const DESCRIPTOR_KEYS: ReadonlySet<string> = new Set([
  'key',
  'value',
  'name',
  'limits',
  'unlimited',
  'replaces',
  'shadow',
  'count_over_limit',
  'share_threshold',
  'descriptors',
]);
/** The members of a charge that a limit has here; a concurrency limit needs an end that this protocol does not tell. */
const LIMIT_KEYS: ReadonlySet<string> = new Set([
  'kind',
  'unit',
  'limit',
  'per_seconds',
  'calendar',
  'zone',
  'burst',
  'on_failure',
]);

type Fields = { readonly [key: string]: unknown };

function reportUnknown(value: Fields, known: ReadonlySet<string>, where: string, report: ReportDescriptorFault): void {
  for (const key of Object.keys(value)) if (!known.has(key)) report(where, `has the unknown key ${quoted(key)}`);
}

function readList(
  value: unknown,
  where: string,
  depth: number,
  report: ReportDescriptorFault,
): readonly WrittenDescriptor[] {
  if (!Array.isArray(value)) {
    report(where, 'is no list of descriptors');
    return [];
  }
  if (depth > MAX_DEPTH) {
    report(where, `is more than ${MAX_DEPTH} levels deep`);
    return [];
  }
  return value.flatMap((one: unknown, index) => {
    const at = `${where}[${index}]`;
    if (isObject(one)) return [readDescriptor(one, at, depth, report)];
    report(at, 'is no object');
    return [];
  });
}

function readDescriptor(
  fields: Fields,
  where: string,
  depth: number,
  report: ReportDescriptorFault,
): WrittenDescriptor {
  reportUnknown(fields, DESCRIPTOR_KEYS, where, report);
  const text = (name: string, least: number, most: number): string => {
    const value = fields[name] ?? '';
    if (typeof value === 'string' && value.length >= least && value.length <= most) return value;
    report(`${where}.${name}`, `is no text of ${least} to ${most} characters`);
    return '';
  };
  const flag = (name: string, fallback: boolean): boolean => {
    const value = fields[name] ?? fallback;
    if (typeof value === 'boolean') return value;
    report(`${where}.${name}`, 'is no boolean');
    return fallback;
  };
  const key = text('key', 1, MAX_KEY);
  const value = text('value', fields['value'] === undefined ? 0 : 1, MAX_VALUE);
  const shared = flag('share_threshold', false);
  const options: RuleOptions = {
    label: text('name', 0, 128),
    replaces: readReplaces(fields['replaces'], `${where}.replaces`, report),
    shadow: flag('shadow', false),
    counts: fields['count_over_limit'] === undefined ? undefined : flag('count_over_limit', false),
  };
  const { limits } = fields;
  const unlimited = flag('unlimited', false);
  if (unlimited && limits !== undefined) report(where, 'has `limits`, and is `unlimited`');
  const toRule = (place: RulePlace): DescriptorRule | undefined => {
    if (unlimited) return { kind: 'unlimited', current: { name: options.label }, replaces: options.replaces };
    return limits === undefined ? undefined : readLimits(limits, `${where}.limits`, place, options, report);
  };
  const nested = fields['descriptors'];
  const descriptors = nested === undefined ? [] : readList(nested, `${where}.descriptors`, depth + 1, report);
  return { where, key, value, shared, toRule, descriptors };
}

function readReplaces(value: unknown, where: string, report: ReportDescriptorFault): readonly string[] {
  if (value === undefined) return [];
  if (Array.isArray(value) && value.every((name): name is string => typeof name === 'string' && name !== '')) {
    return value;
  }
  report(where, 'is no list of names');
  return [];
}

interface RuleOptions {
  readonly label: string;
  readonly replaces: readonly string[];
  readonly shadow: boolean;
  readonly counts: boolean | undefined;
}

function readLimits(
  limits: unknown,
  where: string,
  { name, values }: RulePlace,
  { label, replaces, shadow, counts }: RuleOptions,
  report: ReportDescriptorFault,
): DescriptorRule | undefined {
  if (!isObject(limits)) {
    report(where, 'is no object');
    return undefined;
  }
  reportUnknown(limits, LIMIT_KEYS, where, report);
  const mode = shadow ? 'shadow' : 'enforce';
  try {
    const terms = parseChargeTerms({ ...limits, name, key: [], cost: 1, scope: 'shared', mode });
    if (terms.kind === 'concurrency') throw new RequestFault('invalid_charges', '`concurrency` has no end here');
    return toLimitRule({ terms, values, label, replaces, countsOverLimit: counts ?? terms.kind === 'window' });
  } catch (error) {
    if (!(error instanceof RequestFault)) throw error;
    report(where, error.message);
    return undefined;
  }
}
