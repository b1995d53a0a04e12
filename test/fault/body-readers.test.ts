import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Inference } from '../../src/decision/ports.ts';
import { type LineProgram, startLineProgram } from '../support/line-program.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { isCi, ROOT } from '../support/tools.ts';
import { CHAT, inspect } from '../unit/inspection/access-requests.ts';

/** What a reader takes a body for; `error` when it does not read it at all. */
interface Reading {
  readonly error?: true;
  readonly model?: unknown;
  readonly stream?: unknown;
  readonly max_tokens?: unknown;
  readonly max_completion_tokens?: unknown;
}

interface Case {
  readonly fault: string;
  readonly bytes: Buffer;
  readonly headers: readonly (readonly [string, string])[];
}

const missing = ['go', 'python3'].filter(
  (name) => spawnSync(name, [name === 'go' ? 'version' : '--version']).status !== 0,
);
if (missing.length > 0 && isCi()) throw new Error(`\`${missing.join('`, `')}\` is not on PATH: install it`);
const describeReaders = missing.length === 0 ? describe : describe.skip;

describeReaders(
  `the body that policy reads${missing.length === 0 ? '' : ` (skipped: no ${missing.join(', ')})`}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-readers-'));
    const readers = new Map<string, LineProgram>();

    beforeAll(() => {
      const fixtures = join(ROOT, 'test/fault/fixtures/body-readers');
      const goReader = join(folder, 'reader');
      execFileSync('go', ['build', '-o', goReader, join(fixtures, 'reader.go')], { stdio: 'inherit' });
      readers.set('Go', startLineProgram(goReader, []));
      readers.set('Python', startLineProgram('python3', [join(fixtures, 'reader.py')]));
    });

    afterAll(() => {
      for (const reader of readers.values()) reader.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    test('is what the readers of JavaScript, Python and Go read', async () => {
      const random = createRandom(seedOf('body readers'));
      const count = caseCount(20_000);
      const allowedBy = new Map<string, number>();
      const different: string[] = [];
      let allowed = 0;
      let unread = 0;
      let contested = 0;
      for (let done = 0; done < count; done += BATCH) {
        const cases = Array.from({ length: Math.min(BATCH, count - done) }, () => makeCase(random));
        const readings = await readAll(readers, cases);
        for (const [index, one] of cases.entries()) {
          const all = readings.map((reader) => reader.answers[index] ?? UNREAD);
          if (new Set(all.map((reading) => JSON.stringify(toInference(reading)))).size > 1) contested++;
          const result = inspect(
            {
              method: 'POST',
              target: '/v1/chat/completions',
              headers: one.headers,
              body: one.bytes,
              complete: true,
            },
            { routes: [{ ...CHAT, model: 'body' }] },
          );
          if (result.kind === 'refused') continue;
          allowed++;
          allowedBy.set(one.fault, (allowedBy.get(one.fault) ?? 0) + 1);
          for (const [place, reading] of all.entries()) {
            if (reading.error) unread++;
            else if (!isSame(result.inference ?? {}, reading)) {
              different.push(`${readings[place]?.name}: ${one.fault}: ${one.bytes.toString('latin1').slice(0, 200)}`);
            }
          }
        }
      }
      console.info(
        `body readers: ${count} bodies, ${contested} read differently by the three, ${allowed} allowed, ` +
          `${different.length} of them read differently, ${unread} not read by one`,
      );
      console.info(`body readers: allowed ${[...allowedBy].map(([fault, times]) => `${fault} ${times}`).join(', ')}`);
      expect(different.slice(0, 5)).toEqual([]);
      // Otherwise the corpus shows nothing.
      expect(allowed).toBeGreaterThan(count / 20);
      expect(contested).toBeGreaterThan(count / 20);
    });
  },
);

const BATCH = 500;
const UNREAD: Reading = { error: true };

async function readAll(
  readers: ReadonlyMap<string, LineProgram>,
  cases: readonly Case[],
): Promise<readonly { readonly name: string; readonly answers: readonly Reading[] }[]> {
  const lines = cases.map(({ bytes }) => bytes.toString('base64'));
  const others = await Promise.all(
    [...readers].map(async ([name, reader]) => ({
      name,
      // The readers are ours, and answer with such objects.
      answers: (await reader.ask(lines)).map((line) => JSON.parse(line) as Reading),
    })),
  );
  return [{ name: 'JavaScript', answers: cases.map(({ bytes }) => readInJavaScript(bytes)) }, ...others];
}

function readInJavaScript(bytes: Buffer): Reading {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    // Frameworks copy what was parsed, and a copy by assignment takes `__proto__` for what it says.
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.assign({}, value) : UNREAD;
  } catch {
    return UNREAD;
  }
}

/** The three fields as a server uses them; what has the wrong type is kept, so that it differs. */
function toInference({ error, model, stream, max_tokens, max_completion_tokens }: Reading): readonly unknown[] {
  return error ? ['error'] : [model ?? null, stream ?? null, max_completion_tokens ?? max_tokens ?? null];
}

function isSame(policy: Inference, reading: Reading): boolean {
  const saw = [policy.model ?? null, policy.stream ?? null, policy.max_tokens ?? null];
  return JSON.stringify(saw) === JSON.stringify(toInference(reading));
}

const JSON_TYPE = ['content-type', 'application/json'] as const;

/** One body with one fault or none; every kind is as likely as another. */
function makeCase(random: Random): Case {
  const [fault, make] = random.pick(FAULTS);
  const made = make(random);
  if (Buffer.isBuffer(made)) return { fault, bytes: made, headers: [JSON_TYPE] };
  return typeof made === 'string' ? { fault, bytes: Buffer.from(made), headers: [JSON_TYPE] } : { fault, ...made };
}

type Made = string | Buffer | Omit<Case, 'fault'>;

const FAULTS: readonly (readonly [string, (random: Random) => Made])[] = [
  ['none', (random) => object(members(random))],
  ['escaped keys', (random) => object(members(random).map(([key, value]) => [escaped(random, key), value]))],
  ['duplicates', (random) => object(shuffled(random, [...members(random), ...members(random)]))],
  [
    'escaped duplicates',
    (random) =>
      object(
        shuffled(random, [...members(random), ...members(random).map(([k, v]) => [escaped(random, k), v] as const)]),
      ),
  ],
  [
    'case',
    (random) =>
      object(
        shuffled(random, [...members(random), ...members(random).map(([k, v]) => [recased(random, k), v] as const)]),
      ),
  ],
  ['case alone', (random) => object(members(random).map(([key, value]) => [recased(random, key), value]))],
  [
    'prototype',
    (random) =>
      object(
        shuffled(random, [
          ...members(random).slice(random.below(3)),
          [random.pick(PROTO_KEYS), object(members(random))],
        ]),
      ),
  ],
  [
    'nested prototype',
    (random) =>
      object([...members(random), ['metadata', object([[random.pick(PROTO_KEYS), object(members(random))]])]]),
  ],
  ['byte order mark', (random) => `\ufeff${object(members(random))}`],
  [
    'second document',
    (random) => `${object(members(random))}${random.pick(['', ' ', '\n', ',', '\u0000'])}${object(members(random))}`,
  ],
  ['depth', (random) => object([...members(random), ['x', nested(1 + random.below(100))]])],
  ['great depth', (random) => object([...members(random), ['x', nested(1_000 + random.below(20_000))]])],
  [
    'wrong type',
    (random) =>
      object(members(random).map(([key, value]) => [key, random.chance(0.5) ? random.pick(WRONG_VALUES) : value])),
  ],
  ['wrong root', (random) => random.pick(['[]', 'null', '1', '""', '', ' ', `[${object(members(random))}]`])],
  ['wrong label', (random) => labelled(object(members(random)), random.pick(LABELS))],
  [
    'content-encoding',
    (random) => {
      const bytes = Buffer.from(object(members(random)));
      const coding = random.pick(['gzip', 'identity', 'br', 'deflate', '']);
      return {
        bytes: random.chance(0.5) ? gzipSync(bytes) : bytes,
        headers: [JSON_TYPE, ['content-encoding', coding]],
      };
    },
  ],
  ['UTF-16', (random) => Buffer.from(`${random.pick(['', '\ufeff'])}${object(members(random))}`, 'utf16le')],
  [
    'damaged bytes',
    (random) => {
      const bytes = Buffer.from(object(members(random)));
      bytes[random.below(bytes.length)] = random.below(256);
      return bytes;
    },
  ],
  ['lenient syntax', (random) => random.pick(LENIENT)(object(members(random)))],
  ['strings', (random) => object([...members(random), [random.pick(['"user"', 'x', 'note']), random.pick(STRINGS)]])],
];

const PROTO_KEYS = ['__proto__', '\\u005f_proto__', '__pro\\u0074o__', 'constructor', 'prototype'];
const WRONG_VALUES = [
  '"100"',
  '[100]',
  '{}',
  'null',
  'true',
  '1.0',
  '1e2',
  '-1',
  '-0',
  '1.5',
  '9007199254740993',
  '1e999',
  '""',
  '0',
];
const LABELS = [
  'text/plain',
  'application/x-www-form-urlencoded',
  'application/json; charset=utf-16',
  'text/json',
  'application/jsonx',
  'application/json, text/plain',
  'APPLICATION/JSON',
  'application/json;charset=utf-8',
];
const STRINGS = ['"\\ud800"', '"\\u0000"', '"\u2028"', '"\\/"', '"model"', '"{\\"model\\":\\"dear\\"}"'];
const LENIENT: readonly ((body: string) => string)[] = [
  (body) => body.replace(/}$/, ',}'),
  (body) => body.replace(/^\{/, '{/* "model":"dear" */'),
  (body) => body.replaceAll('"', "'"),
  (body) => body.replace(/}$/, ',"x":NaN}'),
  (body) => body.replace(/}$/, ',"x":Infinity}'),
  (body) => body.replace(/}$/, ',"x":01}'),
  (body) => body.replace(/}$/, ',"x":+1}'),
  (body) => `${body}// "model":"dear"`,
  (body) => `\v${body}\u00a0`,
  (body) => body.replace(/^\{/, '{"x":"\t",'),
];

type Member = readonly [key: string, value: string];

/** Each of the fields, or not; the values are drawn anew each time, so that twins differ. */
function members(random: Random): readonly Member[] {
  const all: Member[] = [['model', random.pick(['"cheap"', '"dear"', '"llama-3-8b"', '"ch\\u0065ap"'])]];
  if (random.chance(0.5)) all.push(['stream', random.pick(['true', 'false', 'null'])]);
  if (random.chance(0.5)) all.push(['max_tokens', random.pick(['1', '100', '65536', 'null', '9007199254740991'])]);
  if (random.chance(0.3)) all.push(['max_completion_tokens', random.pick(['1', '100', 'null'])]);
  if (random.chance(0.5)) all.push(['messages', '[{"role":"user","content":"Name three rivers.","model":"x"}]']);
  if (random.chance(0.3)) all.push(['temperature', '0.5']);
  return shuffled(random, all);
}

/** Keys come escaped already. */
function object(parts: readonly Member[]): string {
  return `{${parts.map(([key, value]) => `"${key.replaceAll('"', '')}":${value}`).join()}}`;
}

function escaped(random: Random, key: string): string {
  return Array.from(key, (character) => {
    if (!random.chance(0.3)) return character;
    const hex = character.charCodeAt(0).toString(16).padStart(4, '0');
    return `\\u${random.chance(0.5) ? hex : hex.toUpperCase()}`;
  }).join('');
}

/** Another spelling that Go's reader takes for the same key, and some that only laxer ones do. */
function recased(random: Random, key: string): string {
  const changed = Array.from(key, (character) => {
    if (character === 's' && random.chance(0.2)) return '\u017f';
    if (character === 'k' && random.chance(0.2)) return '\u212a';
    return random.chance(0.3) ? character.toUpperCase() : character;
  }).join('');
  return random.chance(0.2) ? escaped(random, changed) : changed;
}

function nested(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth);
}

function labelled(body: string, label: string): Omit<Case, 'fault'> {
  return { bytes: Buffer.from(body), headers: [['content-type', label]] };
}

function shuffled<T>(random: Random, items: readonly T[]): readonly T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const one = out[i];
    const other = out[j];
    if (one === undefined || other === undefined) continue;
    out[i] = other;
    out[j] = one;
  }
  return out;
}
