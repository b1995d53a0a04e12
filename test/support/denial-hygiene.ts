import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLIENT_ANSWERS, type ClientReason, titleOf } from '../../src/decision/errors.ts';
import { isObject } from '../../src/decision/json.ts';
import { ROOT } from './tools.ts';

/** A denial as its client sees it. */
export interface SeenDenial {
  readonly status: number;
  readonly contentType: string | undefined;
  /** `WWW-Authenticate`. */
  readonly challenge?: string | undefined;
  readonly body: string;
}

/**
 * Throws where a denial tells its client anything of models, tenants, rules, the policy or versions. The shared clients
 * call it with every denial of every test, so that the test which was told fails.
 */
export function checkDenial(denial: SeenDenial): void {
  const leak = leakOf(denial);
  if (leak !== undefined) throw new Error(`a denial reveals something: ${leak}; it was\n${JSON.stringify(denial)}`);
}

/** What a denial reveals, `undefined` when nothing. Problem details are held against what they may be, all else against names. */
export function leakOf({ status, contentType, challenge = '', body }: SeenDenial): string | undefined {
  if (status < 400) return undefined;
  const name = nameIn(challenge);
  if (name !== undefined) return `the challenge names \`${name}\``;
  if (contentType?.startsWith(PROBLEM) === true) return problemLeak(status, body);
  const named = nameIn(body);
  return named === undefined ? undefined : `the body names \`${named}\``;
}

const PROBLEM = 'application/problem+json';
const MEMBERS: ReadonlySet<string> = new Set(['status', 'title', 'reason', 'decision_id']);
const REASONS: ReadonlySet<unknown> = new Set(Object.values(CLIENT_ANSWERS).map(({ reason }) => reason));

/** Nothing in it but its status, a reason of the closed list, that reason's title, and an id that means nothing. */
function problemLeak(status: number, body: string): string | undefined {
  let problem: unknown;
  try {
    problem = JSON.parse(body);
  } catch {
    return 'its problem details are no JSON';
  }
  if (!isObject(problem)) return 'its problem details are no object';
  const { reason, title, decision_id: id } = problem;
  const isQuota = status === 429 && reason === 'quota_exceeded';
  const more = Object.keys(problem).find((key) => !MEMBERS.has(key) && !(isQuota && QUOTA_MEMBERS.has(key)));
  if (more !== undefined) return `the member \`${more}\``;
  const told = isQuota ? quotaLeak(problem) : undefined;
  if (told !== undefined) return told;
  if (problem['status'] !== status) return `its \`status\` is not the answer's, ${status}`;
  if (!REASONS.has(reason)) return `the reason \`${String(reason)}\``;
  // It is one of the list.
  if (title !== titleOf(reason as ClientReason)) return `the title \`${String(title)}\``;
  if (id !== undefined && (typeof id !== 'string' || !ID.test(id) || nameIn(id) !== undefined))
    return 'the decision id';
  return undefined;
}

/** What a refusal by the quota says more. */
const QUOTA_MEMBERS: ReadonlySet<string> = new Set(['type', 'violated-policies', 'error']);

/** Only that it was the quota, and names of limits that are the caller's own. */
function quotaLeak({ type, error, ...rest }: Readonly<Record<string, unknown>>): string | undefined {
  if (type !== undefined && type !== 'https://iana.org/assignments/http-problem-types#quota-exceeded')
    return 'its `type`';
  const violated = rest['violated-policies'];
  if (violated !== undefined && !(Array.isArray(violated) && violated.every((name) => typeof name === 'string'))) {
    return 'its `violated-policies`';
  }
  return error === undefined || JSON.stringify(error) === OPENAI_ERROR ? undefined : 'its `error`';
}

const OPENAI_ERROR = JSON.stringify({
  message: 'Rate limit reached: wait before the next request.',
  type: 'rate_limit_error',
  param: null,
  code: 'rate_limit_exceeded',
});

const ID = /^[A-Za-z0-9-]{0,64}$/;

/** The first word of a text that is a name of ours. */
function nameIn(text: string): string | undefined {
  return text.match(WORD)?.find((word) => NAMES.has(word) || LOWER_NAMES.has(word.toLowerCase()));
}

const WORD = /[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*/g;

/** What software calls itself and its parts, in any case. */
const LOWER_NAMES: ReadonlySet<string> = new Set(['sallyport', 'opa', 'rego', 'wasm', 'webassembly', 'ajv', 'jose']);

/** Every name of the shipped data and policies, and every code of the core that is no reason for clients. */
const NAMES: ReadonlySet<string> = new Set([
  ...catalogNames(JSON.parse(readFileSync(join(ROOT, 'policies/catalog/data.json'), 'utf8'))),
  ...policyNames(join(ROOT, 'policies')),
  ...Object.keys(CLIENT_ANSWERS).filter((code) => !REASONS.has(code)),
  versionOf(join(ROOT, 'package.json')),
]);

/** Names of models, tenants, tiers, routes and limits, and the names of clusters. */
function catalogNames(catalog: unknown): readonly string[] {
  if (!isObject(catalog)) return [];
  const { routes, ...sections } = catalog;
  const named = Array.isArray(routes)
    ? routes.flatMap((route) => (isObject(route) ? [String(route['name'])] : []))
    : [];
  const keys = Object.values(sections).flatMap((section) => (isObject(section) ? Object.keys(section) : []));
  return [...named, ...keys, ...clusterNames(sections['models'])];
}

function clusterNames(value: unknown): readonly string[] {
  if (typeof value === 'string') return value.includes('-') ? [value] : [];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(clusterNames) : [];
}

/** Packages, and the reasons that rules give: texts that stand where a set has its members. */
function policyNames(folder: string): readonly string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.rego'));
  return files.flatMap((name) => {
    const text = readFileSync(join(folder, name), 'utf8');
    return [...text.matchAll(/^package (\S+)$|contains "([a-z_]+)"|^reasons := \{"([a-z_]+)"\}/gm)]
      .flatMap(([, ...names]) => names)
      .filter((found) => found !== undefined && !REASONS.has(found));
  });
}

function versionOf(file: string): string {
  const manifest: unknown = JSON.parse(readFileSync(file, 'utf8'));
  return isObject(manifest) ? String(manifest['version']) : '';
}
