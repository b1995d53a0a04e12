import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createKeptCopies } from '../../../src/bundle/agent/kept-copies.ts';
import { createFileSource } from '../../../src/bundle/sources/file-source.ts';
import { createStateFile } from '../../../src/rollout/state-file.ts';
import { pinOf } from './shipped.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const signal = AbortSignal.timeout(60_000);
const outside = () => {
  const file = join(folder, 'outside');
  writeFileSync(file, 'mine');
  return file;
};

describe('the file of a bundle', () => {
  const load = (path: string) => createFileSource({ path, maxBytes: 8 }).load(undefined, signal);

  it('may be a link, as in a mounted volume', async () => {
    symlinkSync(outside(), join(folder, 'link'));
    expect(Buffer.from((await load(join(folder, 'link')))?.bytes ?? []).toString()).toBe('mine');
  });

  it.each([
    ['a pipe', (path: string) => void execFileSync('mkfifo', [path]), 'bundle_missing'],
    ['a device', (path: string) => symlinkSync('/dev/zero', path), 'bundle_missing'],
    ['a folder', (path: string) => mkdirSync(path), 'bundle_missing'],
    ['too large', (path: string) => writeFileSync(path, '123456789'), 'bundle_too_large'],
  ])('that is %s is refused at once', async (_what, make, code) => {
    make(join(folder, 'x'));
    await expect(load(join(folder, 'x'))).rejects.toMatchObject({ code });
  });
});

describe('a kept copy', () => {
  const bytes = Buffer.from('mine');
  const { sha256 } = pinOf(bytes);
  const copy = { archives: [{ sha256, bytes }], confirmedAtEpochMs: 1 };

  it.each([`${sha256}.tar.gz`, 'in-force.json'])('whose %s is a link or a pipe is none', async (name) => {
    const copies = createKeptCopies({ folder, maxBytes: 100 });
    await copies.write('authz', copy);
    expect((await copies.read('authz'))?.archives).toHaveLength(1);
    const file = join(folder, 'bundles', 'authz', name);
    const elsewhere = join(folder, 'elsewhere');
    writeFileSync(elsewhere, readFileSync(file));
    rmSync(file);
    symlinkSync(elsewhere, file);
    expect(await copies.read('authz')).toBeUndefined();
    rmSync(file);
    execFileSync('mkfifo', [file]);
    expect(await copies.read('authz')).toBeUndefined();
  });

  it('is not written through a link', async () => {
    const file = outside();
    const here = join(folder, 'bundles', 'authz');
    mkdirSync(here, { recursive: true });
    symlinkSync(file, join(here, '.in-force.json.new'));
    await expect(createKeptCopies({ folder, maxBytes: 100 }).write('authz', copy)).rejects.toThrow(/ELOOP/);
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });
});

describe('the state of a rollout', () => {
  it.each([
    ['a link', (path: string) => symlinkSync(outside(), path)],
    ['a pipe', (path: string) => void execFileSync('mkfifo', [path])],
  ])('is not read from %s', async (_what, make) => {
    make(join(folder, 'rollout.json'));
    await expect(createStateFile(join(folder, 'rollout.json'), () => {}).read()).rejects.toThrow();
  });

  it('is not written through a link', async () => {
    const file = outside();
    symlinkSync(file, join(folder, 'rollout.json.new'));
    const faults: unknown[] = [];
    const state = createStateFile(join(folder, 'rollout.json'), (fault) => faults.push(fault));
    state.write('{}');
    await state.settled();
    expect(faults).toHaveLength(1);
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });
});
