import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadAgentId } from '../../../../src/bundle/agent/agent-id.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-agent-id-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('is the same after a restart, and another in another folder', () => {
  const id = loadAgentId(join(folder, 'a'), 'start-1');
  expect(id).toMatch(/^[0-9a-f-]{36}$/);
  expect(loadAgentId(join(folder, 'a'), 'start-2')).toBe(id);
  expect(loadAgentId(join(folder, 'b'), 'start-2')).not.toBe(id);
});

test('is that of the start without a folder', () => {
  expect(loadAgentId(undefined, 'start-1')).toBe('start-1');
});

test('is that of the start where the file cannot be read or written', () => {
  writeFileSync(join(folder, 'agent-id'), 'no id\n');
  expect(loadAgentId(folder, 'start-1')).toBe('start-1');
});
