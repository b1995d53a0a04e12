import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { type ConformanceCase, readCases } from './conformance-case.ts';

/**
 * Our own cases, `own/*.yaml`, in the form of OPA's but without an answer: the program, which is OPA, compiles them and
 * gives it now. Throws, with OPA's own words, where OPA does not compile one.
 */
export async function loadOwnCases(program: string): Promise<readonly ConformanceCase[]> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-conformance-'));
  try {
    await judgeByOpa(program, folder, JSON.stringify(readOwn()));
    return readCases(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether a case of that name is one of ours. */
export function isOwn(name: string): boolean {
  return name.startsWith(PREFIX);
}

const PREFIX = 'own/';
const OWN = fileURLToPath(new URL('./own', import.meta.url));

interface OwnFile {
  /** Each case is there once for each of these: as a text in place of `"@"`. */
  readonly names?: readonly string[];
  /** The same, as a word in place of `@`. */
  readonly words?: readonly string[];
  readonly cases: readonly OwnCase[];
}

/** As in OPA's files, but for `data` and `input`, which are JSON texts. */
interface OwnCase {
  readonly note: string;
  readonly modules?: readonly string[];
  readonly data?: string;
  readonly input?: string;
}

function readOwn(): readonly object[] {
  const files = readdirSync(OWN).filter((name) => name.endsWith('.yaml'));
  return files.sort().flatMap((name) => {
    // Ours, and the program refuses what is no case.
    const { names, words, cases } = parse(readFileSync(join(OWN, name), 'utf8')) as OwnFile;
    if (names !== undefined) {
      return cases.flatMap((one) =>
        names.map((key) => toCase(one, key, (text) => fill(text, '"@"', JSON.stringify(key)))),
      );
    }
    if (words !== undefined) {
      return cases.flatMap((one) => words.map((word) => toCase(one, word, (text) => fill(text, '@', word))));
    }
    return cases.map((one) => toCase(one, undefined, (text) => text));
  });
}

function fill(text: string, placeholder: string, replacement: string): string {
  return text.split(placeholder).join(replacement);
}

function toCase(one: OwnCase, name: string | undefined, filled: (text: string) => string): object {
  const texts = Object.entries(one).map(([field, value]): readonly [string, unknown] => {
    if (field === 'data' || field === 'input') return [field, JSON.parse(filled(String(value)))];
    if (field === 'modules') return [field, one.modules?.map(filled)];
    return [field, typeof value === 'string' && field !== 'note' ? filled(value) : value];
  });
  const note = `${PREFIX}${one.note}${name === undefined ? '' : `: ${JSON.stringify(name)}`}`;
  return { ...Object.fromEntries(texts), note };
}

function judgeByOpa(program: string, folder: string, cases: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['judge', folder], { stdio: ['pipe', 'ignore', 'pipe'] });
    const said: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`OPA does not take our own cases: ${Buffer.concat(said).toString().trim()}`));
    });
    child.stdin.end(cases);
  });
}
