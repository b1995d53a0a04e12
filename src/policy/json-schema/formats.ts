import { isIPv4, isIPv6 } from 'node:net';
import { compileRegex } from '../../regex/regex.ts';
import { parseTime } from '../builtins/time-parse.ts';
import { parseUri, type Uri } from '../builtins/uri-parse.ts';

const TIMES = ['15:04:05', '15:04:05Z07:00'];
const DATES = ['2006-01-02'];
const DATE_TIMES = [...TIMES, ...DATES, '2006-01-02T15:04:05Z07:00'];

/** A text that has no such part in it is no long one. */
const LONGEST_TIME = 100;
const LONGEST_HOSTNAME = 255;

const LABEL = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/;
const UUID = /^[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$/i;
const POINTER = /^(?:\/(?:[^~/]|~0|~1)*)*$/;
const RELATIVE_POINTER = /^(?:0|[1-9][0-9]*)(?:#|(?:\/(?:[^~/]|~0|~1)*)*)$/;
/** A dot-atom, an at sign and another one, in angle brackets behind a name or not. */
const ADDRESS =
  /^[^\s()<>[\]:;@\\,."]+(?:[.][^\s()<>[\]:;@\\,."]+)*@[^\s()<>[\]:;@\\,."]+(?:[.][^\s()<>[\]:;@\\,."]+)*$/;
const NAMED_ADDRESS = /^[^<>"(),:;@[\]\\]*<([^<>]*)>$/;

/** What gojsonschema looks for behind `format`; a format that it does not know has no check. */
export const FORMATS: ReadonlyMap<string, (text: string) => boolean> = new Map<string, (text: string) => boolean>([
  ['date', (text) => isTime(text, DATES)],
  ['time', (text) => isTime(text, TIMES)],
  ['date-time', (text) => isTime(text, DATE_TIMES)],
  ['hostname', isHostname],
  ['email', isAddress],
  ['idn-email', isAddress],
  ['ipv4', (text) => isIp(text) && text.includes('.')],
  ['ipv6', (text) => isIp(text) && text.includes(':')],
  ['uri', isUri],
  ['iri', isUri],
  ['uri-reference', (text) => uriOf(text) !== undefined],
  ['iri-reference', (text) => uriOf(text) !== undefined],
  ['uri-template', isTemplate],
  ['uuid', (text) => UUID.test(text)],
  ['regex', isRegex],
  ['json-pointer', (text) => POINTER.test(text)],
  ['relative-json-pointer', (text) => RELATIVE_POINTER.test(text)],
]);

function isTime(text: string, layouts: readonly string[]): boolean {
  return text.length <= LONGEST_TIME && layouts.some((layout) => typeof parseTime(layout, text) === 'bigint');
}

function isHostname(text: string): boolean {
  return text.length <= LONGEST_HOSTNAME && text.split('.').every((label) => LABEL.test(label));
}

function isAddress(text: string): boolean {
  return ADDRESS.test(NAMED_ADDRESS.exec(text)?.[1] ?? text);
}

function isIp(text: string): boolean {
  return isIPv4(text) || (isIPv6(text) && !text.includes('%'));
}

function uriOf(text: string): Uri | undefined {
  const uri = parseUri(text);
  return 'reason' in uri || text.includes('\\') ? undefined : uri;
}

function isUri(text: string): boolean {
  return (uriOf(text)?.scheme ?? '') !== '';
}

/** Each opening brace of the path is closed. */
function isTemplate(text: string): boolean {
  const path = uriOf(text)?.path;
  return path !== undefined && path.lastIndexOf('{') <= path.lastIndexOf('}');
}

function isRegex(text: string): boolean {
  try {
    compileRegex(text);
    return true;
  } catch {
    return false;
  }
}
