import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../../support/tools.ts';

const RISKS = Array.from({ length: 10 }, (_, at) => `API${at + 1}`);
const page = readFileSync(join(ROOT, 'docs/owasp-api-top-10.md'), 'utf8');
const rows = new Map(
  page.split('\n').flatMap((line) => {
    const risk = /^\| \*\*(API\d+)\*\* /.exec(line)?.[1];
    return risk === undefined ? [] : [[risk, line] as const];
  }),
);

describe('the page on the OWASP API Security Top 10', () => {
  test('has each of the ten, in order', () => {
    expect([...rows.keys()]).toEqual(RISKS);
  });

  test.each(RISKS)('names for %s what stops it and tests that are there', (risk) => {
    // `| risk | stops it | shown by | left |`
    const [, , stops = '', shown = ''] = (rows.get(risk) ?? '').split('|');
    expect(stops.trim().length).toBeGreaterThan(40);
    const files = pathsIn(shown);
    expect(files.length).toBeGreaterThan(0);
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });

  test('names no test file anywhere that is not there', () => {
    expect(pathsIn(page).filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });
});

function pathsIn(text: string): readonly string[] {
  return [...text.matchAll(/`(test\/[^`]+\.ts)`/g)].map(([, path = '']) => path);
}
