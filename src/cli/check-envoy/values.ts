import { RE2JS } from 're2js';
import { field, listOf, type Setting, textOf } from './setting.ts';

/** A boolean as Envoy's reader takes it (`yes`, `"t"` and `{ value: true }` too); undefined when absent or neither. */
export function flagOf(setting: Setting | undefined): boolean | undefined {
  if (setting?.kind === 'map') return isWrapper(setting) ? (flagOf(field(setting, 'value')) ?? false) : undefined;
  if (setting?.kind !== 'scalar') return undefined;
  const text = String(setting.scalar).toLowerCase();
  if (ON.has(text)) return true;
  return OFF.has(text) ? false : undefined;
}

/** Whether a setting that must not be on is on, or is something else than off. */
export function isOn(setting: Setting | undefined): setting is Setting {
  return setting !== undefined && flagOf(setting) !== false;
}

const ON: ReadonlySet<string> = new Set(['true', 'yes', 'on', 'y', 't', '1']);
const OFF: ReadonlySet<string> = new Set(['false', 'no', 'off', 'n', 'f', '0']);

/** A protobuf wrapper written out; an empty one holds the zero value. */
function isWrapper({ fields }: Setting): boolean {
  return fields.size === 0 || (fields.size === 1 && fields.has('value'));
}

/** A number, written as one or as text. */
export function numberOf(setting: Setting | undefined): number | undefined {
  if (setting?.kind !== 'scalar' || setting.scalar === null || setting.scalar === '') return undefined;
  const number = Number(setting.scalar);
  return Number.isFinite(number) ? number : undefined;
}

/** The name of an enum's value; Envoy takes names in any case, and numbers. An unknown one stays as written. */
export function enumOf(setting: Setting | undefined, names: Readonly<Record<number, string>>): string | undefined {
  if (setting === undefined) return undefined;
  const number = numberOf(setting);
  if (number !== undefined) return names[number] ?? String(number);
  return String(setting.scalar).toUpperCase().replaceAll('-', '_');
}

/** Milliseconds of a protobuf duration such as `0.25s`; undefined when it is none. */
export function durationMs(setting: Setting | undefined): number | undefined {
  const seconds = /^(-?\d+(?:\.\d+)?)s$/.exec(String(setting?.scalar))?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}

/** Whether a `ListStringMatcher` takes a header's name. What cannot be judged takes nothing. */
export function takesName(list: Setting | undefined, name: string): boolean {
  return listOf(list, 'patterns').some((pattern) => matchesText(pattern, name));
}

/** Whether an Envoy `StringMatcher` matches; a custom one never does here. */
export function matchesText(matcher: Setting, text: string): boolean {
  const ignoreCase = flagOf(field(matcher, 'ignore_case')) === true;
  const fold = (value: string): string => (ignoreCase ? value.toLowerCase() : value);
  const part = (name: string): string | undefined => {
    const value = textOf(matcher, name);
    return value === undefined ? undefined : fold(value);
  };
  const wanted = fold(text);
  const [exact, prefix, suffix, contains] = [part('exact'), part('prefix'), part('suffix'), part('contains')];
  if (exact !== undefined) return wanted === exact;
  if (prefix !== undefined) return wanted.startsWith(prefix);
  if (suffix !== undefined) return wanted.endsWith(suffix);
  if (contains !== undefined) return wanted.includes(contains);
  return matchesRegex(field(matcher, 'safe_regex'), text);
}

/** Whether an Envoy `RegexMatcher` (RE2, on the whole text) matches; one that does not compile never does. */
export function matchesRegex(matcher: Setting | undefined, text: string): boolean {
  const pattern = textOf(matcher, 'regex');
  if (pattern === undefined) return false;
  try {
    return RE2JS.compile(pattern).matcher(text).matches();
  } catch {
    return false;
  }
}

/** The same text for the same settings, however they are spelt or ordered. */
export function signatureOf(setting: Setting | undefined): string {
  if (setting === undefined) return '';
  if (setting.kind === 'scalar') return JSON.stringify(String(setting.scalar));
  if (setting.kind === 'list') return `[${setting.items.map(signatureOf).join()}]`;
  const entries = [...setting.fields].map(([name, below]) => `${JSON.stringify(name)}:${signatureOf(below)}`);
  return `{${entries.sort().join()}}`;
}
