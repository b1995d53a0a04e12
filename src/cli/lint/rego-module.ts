import { execFile } from 'node:child_process';
import { BundleError } from '../../bundle/errors.ts';
import { isObject } from '../../decision/json.ts';

/** A node of OPA's syntax tree; members are looked at as they are asked for. */
export type Node = { readonly [member: string]: unknown };

export interface Place {
  readonly row: number;
  readonly column: number;
}

/** Parses one file by `opa parse`; throws a `BundleError` with OPA's words where it cannot. */
export async function parseRego(opa: string, file: string): Promise<Node> {
  const args = ['parse', file, '--format', 'json', '--json-include', 'locations,comments'];
  const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve, reject) => {
    execFile(opa, args, { timeout: 60_000, maxBuffer: 2 ** 28 }, (error, out, words) => {
      if (error === null || typeof error.code === 'number') resolve({ stdout: out, stderr: words });
      else reject(error);
    });
  });
  let module: unknown;
  try {
    module = JSON.parse(stdout);
  } catch {
    // What is no JSON is a complaint.
  }
  if (isObject(module) && isObject(module['package'])) return module;
  throw new BundleError('bundle_build_failed', `\`${file}\` does not parse:\n${(stderr + stdout).trim()}`);
}

export function nodes(value: unknown): readonly Node[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

export function placeOf(node: unknown): Place {
  const location = isObject(node) ? (node['location'] ?? node['Location']) : undefined;
  const { row, col } = isObject(location) ? location : {};
  return { row: typeof row === 'number' ? row : 0, column: typeof col === 'number' ? col : 0 };
}

/** The name that a call's operator has, such as `lt` or `object.get`. */
export function operatorOf(term: unknown): string {
  if (!isObject(term) || term['type'] !== 'ref') return '';
  return nodes(term['value'])
    .map(({ value }) => (typeof value === 'string' ? value : ''))
    .join('.');
}

/** The operands of an expression or term that is a call, with its operator first; `undefined` when it is none. */
export function callOf(node: Node): readonly Node[] | undefined {
  if (Array.isArray(node['terms'])) return nodes(node['terms']);
  return node['type'] === 'call' ? nodes(node['value']) : undefined;
}

/** Comments by the line they are on, without their `#`. */
export function commentsOf(module: Node): readonly (readonly [number, string])[] {
  return nodes(module['comments']).map((comment) => {
    const { Text: encoded } = comment;
    const text = typeof encoded === 'string' ? Buffer.from(encoded, 'base64').toString('utf8') : '';
    return [placeOf(comment).row, text.trim()];
  });
}
