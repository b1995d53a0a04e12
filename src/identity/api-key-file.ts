import { isMap, isScalar, isSeq, LineCounter, parseDocument, type YAMLMap } from 'yaml';
import { type EntryFault, type KeyRecord, parseKeyEntry } from './api-key-record.ts';

/** What a keys file says. */
export interface KeyFileContent {
  /** By id; empty when there is any fault. */
  readonly records: ReadonlyMap<string, KeyRecord>;
  /** What is wrong, with line and key; never a digest. */
  readonly faults: readonly string[];
  /** Every id that is marked as revoked and can be made out, also where the file has faults. */
  readonly revoked: ReadonlySet<string>;
}

/** A larger file is not read: reading it holds up requests, and a Redis directory holds any number of keys. */
export const MAX_KEY_FILE_BYTES = 2 * 2 ** 20;

/** Reads the text of a keys file (`keys:` and a list of entries); all faults at once. Never throws. */
export function parseKeyFile(bytes: Uint8Array): KeyFileContent {
  if (bytes.byteLength > MAX_KEY_FILE_BYTES) {
    return faulty([`is larger than ${MAX_KEY_FILE_BYTES} bytes: use \`redis\` for so many keys`]);
  }
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return faulty(['is no UTF-8']);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const lineOf = (offset: number | undefined): string =>
    offset === undefined ? '' : `line ${lines.linePos(offset).line}: `;
  const faults = document.errors.map((error) => `${lineOf(error.pos[0])}${error.message}`);
  const root = document.contents;
  const list = isMap(root) ? root.get('keys') : undefined;
  if (!isMap(root) || !isSeq(list)) return faulty([...faults, '`keys` is compulsory, a list']);
  for (const { key } of root.items) {
    if (!isScalar(key) || key.value !== 'keys') faults.push(`\`${String(key)}\` is not a key that is known here`);
  }
  const records = new Map<string, KeyRecord>();
  const revoked = new Set<string>();
  for (const [index, node] of list.items.entries()) {
    const entry = isMap(node) ? toPlain(node) : undefined;
    const fault = ({ path, message }: EntryFault): void => {
      const offset = isMap(node) ? (offsetOf(node, path[0]) ?? node.range?.[0]) : undefined;
      faults.push(`${lineOf(offset)}${[`keys[${index}]`, ...path].join('.')}: ${message}`);
    };
    if (typeof entry?.['id'] === 'string' && isMarkedRevoked(entry['revoked'])) revoked.add(entry['id']);
    const record = parseKeyEntry(entry);
    if ('id' in record) {
      if (records.has(record.id)) fault({ path: ['id'], message: 'is the id of another key too' });
      records.set(record.id, record);
    } else record.forEach(fault);
  }
  return { records: faults.length === 0 ? records : new Map(), faults, revoked };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function faulty(faults: readonly string[]): KeyFileContent {
  return { records: new Map(), faults, revoked: new Set() };
}

type Plain = { readonly [name: string]: unknown };

/** Null prototype: an entry may have any name. Aliases are no part of a keys file, and stay what no schema takes. */
function toPlain(node: YAMLMap): Plain {
  const plain: Record<string, unknown> = Object.create(null);
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : '';
    plain[name] = isSeq(value)
      ? value.items.map((item) => (isScalar(item) ? item.value : undefined))
      : isScalar(value)
        ? value.value
        : undefined;
  }
  return plain;
}

/** Whatever is not plainly a no: `revoked: yes` is a text in YAML 1.2, and no mistake should keep a key alive. */
function isMarkedRevoked(value: unknown): boolean {
  return value !== undefined && value !== false;
}

function offsetOf(node: YAMLMap, name: string | number | undefined): number | undefined {
  const pair = node.items.find(({ key }) => isScalar(key) && key.value === name);
  return isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
}
