import { isObject } from '../decision/json.ts';
import type { PolicyConfig } from './config.ts';
import { FORBIDDEN_BUILTINS, PolicyLoadError } from './policy-engine.ts';

type Decisions = PolicyConfig['decisions'];

/** What local config needs of a policy. */
export interface Needed {
  readonly names: readonly string[];
  /** What runs with strict errors: the limits. */
  readonly strict: ReadonlySet<string>;
  /** What only names charges, and decides nothing. */
  readonly charging: ReadonlySet<string>;
}

export function neededOf(decisions: Decisions): Needed {
  const all = Object.values(decisions);
  const limits = all.flatMap((each) => (each.limits === undefined ? [] : [each.limits]));
  const deciding = all.map(({ decision }) => decision);
  const charging = limits.filter((name) => !deciding.includes(name));
  return { names: [...deciding, ...limits], strict: new Set(limits), charging: new Set(charging) };
}

/** Throws `forbidden_builtin`. */
export function refuseForbidden(builtins: readonly string[]): void {
  for (const name of builtins) {
    if (FORBIDDEN_BUILTINS.has(name)) {
      throw new PolicyLoadError(
        'forbidden_builtin',
        `the policy calls \`${name}\`, which no policy may: remove the call`,
      );
    }
  }
}

/** Throws `unknown_builtin`. */
export function refuseUnknown(builtins: readonly string[], known: { has(name: string): boolean }): void {
  for (const name of builtins) {
    if (!known.has(name)) {
      throw new PolicyLoadError(
        'unknown_builtin',
        `the policy calls \`${name}\`, which is not supported: remove the call`,
      );
    }
  }
}

/** Throws `missing_entrypoint`. */
export function demandEntrypoints(needed: readonly string[], present: readonly string[]): void {
  for (const name of needed) {
    if (present.includes(name)) continue;
    const others = quoted([...present].sort());
    throw new PolicyLoadError('missing_entrypoint', `the policy has no entrypoint \`${name}\`, only ${others}`);
  }
}

export function quoted(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.map((name) => `\`${name}\``).join(', ');
}

/** The text of `data.json`, which must be an object's. Throws `invalid_data`. */
export function dataText(data: Uint8Array): string {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(data);
    value = JSON.parse(text);
  } catch (cause) {
    throw new PolicyLoadError('invalid_data', '`data.json` is not JSON', { cause });
  }
  if (!isObject(value)) throw new PolicyLoadError('invalid_data', '`data.json` is not an object');
  return text;
}
