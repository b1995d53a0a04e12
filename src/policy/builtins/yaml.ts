import { parseAllDocuments, parseDocument, Scalar, stringify } from 'yaml';
import { compareRego } from '../rego-order.ts';
import { parseRegoText, RegoNumber, RegoObject, RegoSet, type RegoValue } from '../rego-value.ts';
import { asString, type Builtin, type Builtins, FAILED, stringAt } from './builtin.ts';

/** OPA's `yaml` family. */
export const YAML_BUILTINS: Builtins = new Map<string, Builtin>([
  ['yaml.is_valid', ([text]) => typeof text === 'string' && parseYaml(text) !== undefined],
  ['yaml.unmarshal', (args) => parseYaml(stringAt(args, 0))],
  ['yaml.marshal', ([value]) => (value === undefined ? undefined : writeYaml(value))],
]);

/** Aliases may repeat what they name at most so often: nested ones multiply. */
const MAX_ALIASES = 100;

function parseYaml(text: string): RegoValue | undefined {
  // Of two equal keys the last wins, as in OPA.
  const documents = parseAllDocuments(text, { intAsBigInt: true, logLevel: 'silent', uniqueKeys: false });
  const [document, more] = documents;
  if (document === undefined) return null;
  if (more !== undefined || document.errors.length > 0) return undefined;
  try {
    return toRego(document.toJS({ maxAliasCount: MAX_ALIASES, mapAsMap: true }));
  } catch {
    return undefined;
  }
}

function toRego(value: unknown): RegoValue {
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'bigint') return new RegoNumber(value.toString());
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw FAILED;
    return parseRegoText(JSON.stringify(value));
  }
  if (Array.isArray(value)) return value.map(toRego);
  if (value instanceof Map) return new RegoObject([...value].map(([key, member]) => [keyText(key), toRego(member)]));
  throw FAILED;
}

/** Keys become texts, as in JSON. */
function keyText(key: unknown): string {
  if (typeof key === 'string') return key;
  if (typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean') return String(key);
  throw FAILED;
}

function writeYaml(value: RegoValue): string {
  return stringify(fromRego(value), { lineWidth: 0, singleQuote: true, version: '1.1' });
}

/** Numbers keep their digits as far as YAML's own types do; sets are lists, keys are sorted. */
function fromRego(value: RegoValue): unknown {
  if (typeof value === 'string') return quotedIfNeeded(value);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof RegoNumber) return /^-?[0-9]+$/.test(value.text) ? BigInt(value.text) : Number(value.text);
  if (value instanceof RegoSet) return [...value.items].sort(compareRego).map(fromRego);
  if (value instanceof RegoObject) {
    // Without a prototype, so that every key is an ordinary one.
    const members: { [key: string]: unknown } = Object.create(null);
    for (const [key, member] of [...value.entries].sort(([left], [right]) => compareRego(left, right))) {
      members[asString(key)] = fromRego(member);
    }
    return members;
  }
  return value.map(fromRego);
}

/** What would be read back as something else than a text stands in double quotes. */
function quotedIfNeeded(text: string): unknown {
  const read: unknown = parseDocument(text, { version: '1.1', logLevel: 'silent' }).toJS();
  if (typeof read === 'string' || /[\n:#]/.test(text)) return text;
  const scalar = new Scalar(text);
  scalar.type = Scalar.QUOTE_DOUBLE;
  return scalar;
}
