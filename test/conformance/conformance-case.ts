import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { isObject } from '../../src/decision/json.ts';

/** One question to an engine, and OPA's answer to it. */
export interface ConformanceCase {
  /** OPA's note; the second of a name is `name #2`. */
  readonly name: string;
  readonly file: string;
  readonly query: string;
  readonly modules: readonly string[];
  /** In OPA's text form, because some hold sets; `undefined` where there is no input. */
  readonly input: string | undefined;
  /** JSON text. */
  readonly data: string;
  readonly wanted: Wanted;
  /** Errors of builtins are errors of the evaluation. */
  readonly strict: boolean;
  /** `plan.json`. */
  readonly plan: Uint8Array;
  /** The builtins that the plan calls. */
  readonly builtins: readonly string[];
  /** The same policy as a Wasm module. */
  readonly wasm: () => Uint8Array<ArrayBuffer>;
}

/** OPA's answer: an error, a result set, or (where builtins fail at the side) both. */
export interface Wanted {
  /** The list of bindings in OPA's text form. */
  readonly results: string | undefined;
  readonly errorCode: string | undefined;
  /** A part of the error's text. */
  readonly errorText: string | undefined;
  /** Results are wanted as values; else as their JSON, where sets are lists and keys texts. */
  readonly exact: boolean;
  /** The order of a bound list means nothing. */
  readonly sortBindings: boolean;
  readonly ignoreGeneratedVars: boolean;
}

/** OPA's own cases, beside the program that `npm run tools` built. Throws when they are not as it writes them. */
export function loadSuite(program: string): readonly ConformanceCase[] {
  return readCases(join(realpathSync(program), '..'));
}

/** What the program wrote into a folder. */
export function readCases(folder: string): readonly ConformanceCase[] {
  const modules = readFileSync(join(folder, 'modules.bin'));
  const seen = new Map<string, number>();
  return readFileSync(join(folder, 'cases.ndjson'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const fields: unknown = JSON.parse(line);
      if (!isObject(fields)) throw new Error('a line of cases.ndjson is no object');
      const note = text(fields, 'note');
      const count = (seen.get(note) ?? 0) + 1;
      seen.set(note, count);
      return toCase(fields, count === 1 ? note : `${note} #${count}`, modules);
    });
}

type Fields = { readonly [field: string]: unknown };

function toCase(fields: Fields, name: string, modules: Buffer): ConformanceCase {
  const start = Number(fields['wasm_start']);
  const packed = modules.subarray(start, start + Number(fields['wasm_bytes']));
  return {
    name,
    file: text(fields, 'file'),
    query: text(fields, 'query'),
    modules: list(fields['modules']).map(String),
    input: optionalText(fields, 'input'),
    data: text(fields, 'data'),
    wanted: {
      results: optionalText(fields, 'want'),
      errorCode: optionalText(fields, 'want_error_code'),
      errorText: optionalText(fields, 'want_error'),
      exact: fields['exact'] === true,
      sortBindings: fields['sort_bindings'] === true,
      ignoreGeneratedVars: fields['ignore_generated_vars'] === true,
    },
    strict: fields['strict_error'] === true,
    plan: Buffer.from(JSON.stringify(fields['plan'])),
    builtins: builtinsOf(fields['plan']),
    wasm: () => new Uint8Array(gunzipSync(packed)),
  };
}

function builtinsOf(plan: unknown): readonly string[] {
  const part = isObject(plan) ? plan['static'] : undefined;
  return list(isObject(part) ? part['builtin_funcs'] : undefined).map((entry) => {
    if (!isObject(entry)) throw new Error('a plan lists a builtin that is no object');
    return text(entry, 'name');
  });
}

/** Go writes an empty list as `null`. */
function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(fields: Fields, name: string): string {
  const value = optionalText(fields, name);
  if (value === undefined) throw new Error(`a case has no \`${name}\``);
  return value;
}

function optionalText(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === 'string' ? value : undefined;
}
