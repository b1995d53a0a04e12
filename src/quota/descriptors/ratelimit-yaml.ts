import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseDocument,
  type Scalar,
  visit,
  type YAMLMap,
} from 'yaml';
import type { DescriptorNode, DescriptorRule, DescriptorUnit } from './descriptors.ts';
import { type RulePlace, toLimitRule, UNIT_SECONDS, windowTerms } from './descriptors-rule.ts';
import { toDescriptorTree, type WrittenDescriptor } from './descriptors-tree.ts';

/** A limits file of envoyproxy/ratelimit, compiled. */
export interface RateLimitFile {
  readonly domain: string;
  readonly tree: DescriptorNode;
}

export interface RateLimitFileReport {
  /** Such a file must not be put in force. */
  fault(line: number, message: string): void;
  /** What is read and has no effect here. */
  note(line: number, message: string): void;
}

/**
 * Compiles a limits file of envoyproxy/ratelimit, unmodified. Its units are windows that begin with the epoch, in UTC;
 * what it says of metrics has no effect; what is not supported is a fault with its line, and nothing is read behind the
 * first hundred of these. `undefined` without a domain, and for a file that is not read to its end.
 */
export function parseRateLimitYaml(text: string, report: RateLimitFileReport): RateLimitFile | undefined {
  const lines = new LineCounter();
  // 1.1 is what the original reads: `yes` is a flag.
  const document = parseDocument(text, { version: '1.1', merge: false, lineCounter: lines, prettyErrors: false });
  for (const { pos, message } of document.errors.slice(0, MAX_FAULTS)) {
    report.fault(lines.linePos(pos[0]).line, message);
  }
  if (document.errors.length > 0) return undefined;
  try {
    return new FileReader(document, lines, report).file();
  } catch (error) {
    if (error instanceof TooManyFaults) return undefined;
    throw error;
  }
}

class TooManyFaults extends Error {
  override readonly name = 'TooManyFaults';
}

const MAX_FAULTS = 100;
/** Some lines of aliases of aliases are a file of any size. */
const MAX_ALIASES = 10_000;

const ROOT_KEYS = ['domain', 'descriptors'];
const DESCRIPTOR_KEYS = [
  'key',
  'value',
  'rate_limit',
  'descriptors',
  'shadow_mode',
  'detailed_metric',
  'value_to_metric',
  'share_threshold',
];
const LIMIT_KEYS = ['unit', 'requests_per_unit', 'unlimited', 'name', 'replaces'];
const REPLACES_KEYS = ['name'];
/** Only what metrics are called by hangs on them. */
const WITHOUT_EFFECT = ['detailed_metric', 'value_to_metric'];
const MAX_DEPTH = 16;
const MAX_DESCRIPTORS = 100_000;
const MAX_UINT32 = 0xffff_ffff;

class FileReader {
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;
  readonly #report: RateLimitFileReport;
  readonly #targets: ReadonlyMap<Alias, unknown>;
  #descriptors = 0;
  #aliases = 0;

  constructor(document: Document.Parsed, lines: LineCounter, report: RateLimitFileReport) {
    this.#document = document;
    this.#lines = lines;
    this.#targets = targetsOf(document);
    let faults = 0;
    this.#report = {
      note: (line, message) => report.note(line, message),
      fault: (line, message) => {
        report.fault(line, message);
        faults += 1;
        if (faults >= MAX_FAULTS) throw new TooManyFaults();
      },
    };
  }

  file(): RateLimitFile | undefined {
    const root = this.#map(this.#document.contents, ROOT_KEYS, 1);
    const domain = this.#text(root.get('domain'), 'domain');
    if (domain === '') this.#report.fault(1, '`domain` is missing');
    const descriptors = this.#list(root.get('descriptors'), 1);
    const tree = toDescriptorTree(domain, descriptors, (line, message) => this.#report.fault(Number(line), message));
    return domain === '' ? undefined : { domain, tree };
  }

  #list(found: Found | undefined, depth: number): readonly WrittenDescriptor[] {
    if (found === undefined || isNull(found.node)) return [];
    const { node, line } = found;
    if (!isSeq(node)) {
      this.#report.fault(line, '`descriptors` is no list');
      return [];
    }
    if (depth > MAX_DEPTH) {
      this.#report.fault(line, `\`descriptors\` are more than ${MAX_DEPTH} levels deep`);
      return [];
    }
    return node.items.flatMap((item) => {
      this.#descriptors += 1;
      if (this.#descriptors > MAX_DESCRIPTORS) return [];
      return [this.#descriptor(item, line, depth)];
    });
  }

  #descriptor(item: unknown, listLine: number, depth: number): WrittenDescriptor {
    const line = this.#lineOf(item) ?? listLine;
    const fields = this.#map(item, DESCRIPTOR_KEYS, line);
    const key = this.#text(fields.get('key'), 'key');
    if (key === '') this.#report.fault(line, 'a descriptor without `key`');
    for (const name of WITHOUT_EFFECT) {
      const found = fields.get(name);
      if (found !== undefined && this.#flag(found, name)) this.#report.note(found.line, `\`${name}\` has no effect`);
    }
    const shadow = this.#flag(fields.get('shadow_mode'), 'shadow_mode');
    const limit = fields.get('rate_limit');
    const read = limit === undefined || isNull(limit.node) ? undefined : this.#limit(limit, shadow);
    if (this.#descriptors === MAX_DESCRIPTORS) this.#report.fault(line, `more than ${MAX_DESCRIPTORS} descriptors`);
    return {
      where: String(line),
      key,
      value: this.#text(fields.get('value'), 'value'),
      shared: this.#flag(fields.get('share_threshold'), 'share_threshold'),
      ...(read === undefined ? {} : { toRule: read }),
      descriptors: this.#list(fields.get('descriptors'), depth + 1),
    };
  }

  #limit({ node, line }: Found, shadow: boolean): ((place: RulePlace) => DescriptorRule) | undefined {
    const fields = this.#map(node, LIMIT_KEYS, line);
    const label = this.#text(fields.get('name'), 'name');
    const replaces = this.#replaces(fields.get('replaces'), label);
    const unitText = this.#text(fields.get('unit'), 'unit');
    const unit = unitText.toLowerCase();
    const seconds = UNIT_SECONDS.get(unit);
    const requests = fields.get('requests_per_unit');
    if (this.#flag(fields.get('unlimited'), 'unlimited')) {
      if (seconds !== undefined) this.#report.fault(line, '`unit` does not go with `unlimited`');
      return () => ({ kind: 'unlimited', current: { name: label }, replaces });
    }
    if (seconds === undefined) {
      this.#report.fault(
        fields.get('unit')?.line ?? line,
        `\`unit\` is none of ${[...UNIT_SECONDS.keys()].join(', ')}`,
      );
      return undefined;
    }
    const limit = requests === undefined ? undefined : this.#uint32(requests);
    if (requests === undefined) this.#report.fault(line, '`requests_per_unit` is missing');
    if (limit === undefined) return undefined;
    if (limit === 0) {
      // Every name of a unit is a key of the map that it was just found in.
      const current = { name: label, requestsPerUnit: 0, unit: unit as DescriptorUnit };
      return () => ({ kind: 'block', current, shadow, replaces });
    }
    return ({ name, values }) => {
      const terms = windowTerms({ name, limit, seconds, shadow });
      // The original counts what it refuses, and so does this.
      return toLimitRule({ terms, values, label, replaces, countsOverLimit: true });
    };
  }

  #replaces(found: Found | undefined, own: string): readonly string[] {
    if (found === undefined || isNull(found.node)) return [];
    if (!isSeq(found.node)) {
      this.#report.fault(found.line, '`replaces` is no list');
      return [];
    }
    return found.node.items.map((item) => {
      const line = this.#lineOf(item) ?? found.line;
      const name = this.#text(this.#map(item, REPLACES_KEYS, line).get('name'), 'name');
      if (name === '') this.#report.fault(line, 'an entry of `replaces` without `name`');
      else if (name === own) this.#report.fault(line, `\`${name}\` replaces itself`);
      return name;
    });
  }

  /** The members of a mapping, by key; what is no mapping has none. */
  #map(given: unknown, known: readonly string[], line: number): ReadonlyMap<string, Found> {
    const node = this.#resolve(given);
    const fields = new Map<string, Found>();
    if (!isMap(node)) {
      this.#report.fault(line, `here stands no mapping with ${known.map((key) => `\`${key}\``).join(', ')}`);
      return fields;
    }
    // What was parsed holds parsed nodes only.
    for (const { key, value } of (node as YAMLMap<ParsedNode, ParsedNode | null>).items) {
      const at = this.#lineOf(key) ?? line;
      const name = isScalar(key) ? textOf(key) : '';
      if (known.includes(name)) fields.set(name, { node: this.#resolve(value), line: at });
      else this.#report.fault(at, `the key \`${name}\` is not supported here`);
    }
    return fields;
  }

  #text(found: Found | undefined, name: string): string {
    if (found === undefined || isNull(found.node)) return '';
    if (isScalar(found.node)) return textOf(found.node);
    this.#report.fault(found.line, `\`${name}\` is no text`);
    return '';
  }

  #flag(found: Found | undefined, name: string): boolean {
    if (found === undefined || isNull(found.node)) return false;
    if (isScalar(found.node) && typeof found.node.value === 'boolean') return found.node.value;
    this.#report.fault(found.line, `\`${name}\` is no boolean`);
    return false;
  }

  #uint32({ node, line }: Found): number | undefined {
    const value = isScalar(node) ? node.value : undefined;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= MAX_UINT32) return value;
    this.#report.fault(line, `\`requests_per_unit\` is no integer from 0 to ${MAX_UINT32}`);
    return undefined;
  }

  #resolve(node: unknown): unknown {
    if (!isAlias(node)) return node;
    this.#aliases += 1;
    if (this.#aliases > MAX_ALIASES) {
      this.#report.fault(
        this.#lineOf(node) ?? 1,
        `more than ${MAX_ALIASES} aliases, counted each time that one is met`,
      );
      throw new TooManyFaults();
    }
    return this.#targets.get(node);
  }

  #lineOf(node: unknown): number | undefined {
    const range = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined;
    return Array.isArray(range) && typeof range[0] === 'number' ? this.#lines.linePos(range[0]).line : undefined;
  }
}

/** What each alias stands for: the last node before it that has its anchor. */
function targetsOf(document: Document.Parsed): ReadonlyMap<Alias, unknown> {
  const anchors = new Map<string, unknown>();
  const targets = new Map<Alias, unknown>();
  visit(document, {
    Alias: (_key, alias) => void targets.set(alias, anchors.get(alias.source)),
    Value: (_key, node) => {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

interface Found {
  readonly node: unknown;
  readonly line: number;
}

function isNull(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null);
}

/** As it was written: what looks like a number or a flag is a text where one is wanted. */
function textOf(scalar: Scalar): string {
  if (scalar.value === null) return '';
  return typeof scalar.value === 'string' ? scalar.value : (scalar.source ?? '');
}
