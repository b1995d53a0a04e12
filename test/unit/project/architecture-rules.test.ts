import { describe, expect, test } from 'vitest';
import { checkAnyFile, checkSource } from '../../support/architecture-rules.ts';

/** A check that cannot fail is a defect: each rule is shown a file that breaks it and one that does not. */
const planted: readonly (readonly [title: string, path: string, text: string, rule: string])[] = [
  [
    'decision/ importing node:',
    'src/decision/a.ts',
    "import { hash } from 'node:crypto';",
    'decision/ imports nothing outside itself',
  ],
  [
    'decision/ importing npm as a type',
    'src/decision/a.ts',
    "import type { JWK } from 'jose';",
    'decision/ imports nothing outside itself',
  ],
  ['decision/ importing a family', 'src/decision/a.ts', "import { x } from '../identity/jwt.ts';", 'import rules'],
  ['a family importing another', 'src/identity/a.ts', "import type { X } from '../quota/limiter.ts';", 'import rules'],
  [
    'a family importing another over several lines',
    'src/quota/a.ts',
    "import {\n  one,\n  two,\n} from '../policy/a.ts';",
    'import rules',
  ],
  [
    'a family importing another on demand',
    'src/bundle/a.ts',
    "const x = await import('../policy/a.ts');",
    'import rules',
  ],
  ['a family re-exporting another', 'src/bundle/a.ts', "export { x } from '../policy/a.ts';", 'import rules'],
  ['regex/ importing a family', 'src/regex/a.ts', "import { x } from '../policy/a.ts';", 'import rules'],
  ['regex/ importing the core', 'src/regex/a.ts', "import { x } from '../decision/json.ts';", 'import rules'],
  ['the core importing regex/', 'src/decision/a.ts', "import { x } from '../regex/regex.ts';", 'import rules'],
  ['regex/ importing node:', 'src/regex/a.ts', "import { x } from 'node:crypto';", 'regex/ imports re2js only'],
  ['a family importing for effect', 'src/bundle/a.ts', "import '../policy/a.ts';", 'import rules'],
  [
    'a family importing a door',
    'src/inspection/a.ts',
    "import { x } from '../protocols/ext-authz-grpc/server.ts';",
    'import rules',
  ],
  [
    'a door importing a family',
    'src/protocols/ext-authz-grpc/a.ts',
    "import { x } from '../../identity/jwt.ts';",
    'import rules',
  ],
  [
    'a door importing another',
    'src/protocols/ext-authz-grpc/a.ts',
    "import { x } from '../ext-authz-http/server.ts';",
    'import rules',
  ],
  ['operations importing a family', 'src/operations/a.ts', "import { x } from '../quota/limiter.ts';", 'import rules'],
  [
    'listener importing a door',
    'src/listener/a.ts',
    "import { x } from '../protocols/ext-authz-grpc/a.ts';",
    'import rules',
  ],
  [
    'telemetry importing a value of the core',
    'src/telemetry/a.ts',
    "import { deny } from '../decision/decision.ts';",
    'import rules',
  ],
  [
    'config importing more than a family’s config',
    'src/config/a.ts',
    "import { x } from '../identity/jwt.ts';",
    'import rules',
  ],
  ['service.ts importing a command', 'src/service.ts', "import { x } from './cli/build.ts';", 'import rules'],
  ['main.ts importing a family', 'src/main.ts', "import { x } from './identity/jwt.ts';", 'import rules'],
  ['a command importing the service', 'src/cli/a.ts', "import { x } from '../service.ts';", 'import rules'],
  ['an import of main.ts', 'src/service.ts', "import { x } from './main.ts';", 'import rules'],
  ['an import out of src/', 'src/service.ts', "import { x } from '../test/support/seed.ts';", 'import rules'],
  [
    'a folder that the table does not know',
    'src/extras/a.ts',
    "import { x } from '../decision/json.ts';",
    'import rules',
  ],
  ['a computed import', 'src/service.ts', 'await import(name);', 'imports are literal'],
  ['an import with a computed template', 'src/service.ts', 'await import(`./\x24{name}.ts`);', 'imports are literal'],
  [
    'an import path without its ending',
    'src/service.ts',
    "import { x } from './decision/json';",
    'import paths end in .ts',
  ],
  [
    'the Wasm SDK outside its file',
    'src/policy/wasm-engine.ts',
    "import x from '@open-policy-agent/opa-wasm';",
    'only src/policy/opa-wasm.ts imports the SDK',
  ],
  [
    'a builtin without node:',
    'src/identity/a.ts',
    "import { readFile } from 'fs/promises';",
    'builtins are imported with node:',
  ],
  ['express in a door', 'src/protocols/ext-authz-http/a.ts', "import express from 'express';", 'no express in a door'],
  [
    'new URL in a door',
    'src/protocols/ext-authz-http/a.ts',
    'const url = new URL(target);',
    'doors do not rewrite targets',
  ],
  [
    'path.normalize in a door',
    'src/protocols/ext-authz-http/a.ts',
    'const p = posix.normalize(target);',
    'doors do not rewrite targets',
  ],
  ['a barrel', 'src/quota/index.ts', '', 'no barrels'],
  ['a forbidden word in a file name', 'src/quota/bucket-helper.ts', '', 'forbidden words'],
  ['a forbidden word in a function', 'src/quota/a.ts', 'export async function handleRequest() {}', 'forbidden words'],
  ['a forbidden word in a class', 'src/quota/a.ts', 'export class BucketManager {}', 'forbidden words'],
  ['a forbidden word in a constant', 'src/quota/a.ts', 'export const BASE_PATH = 1;', 'forbidden words'],
  ['a forbidden word in an export list', 'src/quota/a.ts', 'export { a as requestInfo };', 'forbidden words'],
  ['a parameter of type any', 'src/quota/a.ts', 'const f = (x: any) => x;', 'no any'],
  ['an any in a generic', 'src/quota/a.ts', 'const m = new Map<string, any>();', 'no any'],
  ['a cast to any', 'src/quota/a.ts', 'const y = x as any;', 'no any'],
  ['a file of 301 lines', 'src/quota/a.ts', 'a;\n'.repeat(301), 'at most 300 lines'],
];

const clean: readonly (readonly [title: string, path: string, text: string])[] = [
  ['the core importing itself', 'src/decision/a.ts', "import { x } from './json.ts';"],
  [
    'a family importing core, telemetry, npm and node:',
    'src/identity/a.ts',
    "import { a } from '../decision/errors.ts';\nimport { b } from '../telemetry/metrics.ts';\nimport { c } from 'jose';\nimport { d } from 'node:crypto';\nimport { e } from './jwks.ts';",
  ],
  ['a family importing regex/', 'src/policy/builtins/a.ts', "import { x } from '../../regex/regex.ts';"],
  ['regex/ importing its engine', 'src/regex/a.ts', "import { RE2JS } from 're2js';\nimport { x } from './b.ts';"],
  [
    'a nested folder of a family',
    'src/policy/builtins/a.ts',
    "import { x } from '../policy-engine.ts';\nimport { y } from '../../decision/errors.ts';",
  ],
  [
    'telemetry importing types of the core',
    'src/telemetry/a.ts',
    "import type { Outcome } from '../decision/ports.ts';",
  ],
  [
    'config importing a family’s and a door’s config',
    'src/config/a.ts',
    "import { x } from '../identity/config.ts';\nimport { y } from '../protocols/ext-authz-grpc/config.ts';",
  ],
  [
    'service.ts importing adapters',
    'src/service.ts',
    "import { x } from './identity/jwt.ts';\nimport { y } from './protocols/ext-authz-http/server.ts';",
  ],
  ['the SDK in its own file', 'src/policy/opa-wasm.ts', "import x from '@open-policy-agent/opa-wasm';"],
  [
    'words of an import inside a string or a comment',
    'src/decision/a.ts',
    "// import { x } from 'jose';\nconst text = \"import x from 'jose'\";\nconst t = `import('\x24{text}')`;",
  ],
  [
    '`any` in prose, strings, and as a name',
    'src/quota/a.ts',
    "// as any\nconst s = 'x: any';\nawait Promise.any([]);\nconst any = [1];\nconst one = any[index];",
  ],
  [
    'words that only look forbidden',
    'src/quota/a.ts',
    'export const decodeBase64 = 1;\nexport type Mystery = 1;\nexport const domain = 2;',
  ],
  ['a regex with quotes', 'src/decision/a.ts', "const r = /['\"`]/.test(x);\nconst half = a / b; // '"],
  ['new URL outside a door', 'src/identity/a.ts', 'const url = new URL(jwks);'],
  ['a file of 300 lines', 'src/quota/a.ts', 'a;\n'.repeat(300)],
];

describe('the rule checker finds what breaks a rule', () => {
  test.each(planted)('%s', (_title, path, text, rule) => {
    expect(checkSource([{ path, text }]).map((violation) => violation.rule)).toContain(rule);
  });
});

describe('the rule checker leaves alone what keeps them', () => {
  test.each(clean)('%s', (_title, path, text) => expect(checkSource([{ path, text }])).toEqual([]));
});

describe('rules for every file', () => {
  test.each([
    ['unfinished work', `// ${'TO'}${'DO'}: later`],
    ['a mark to mend', `# ${'FIX'}${'ME'}`],
    ['a path out of the project', `readFile('..${'/'}shared/golden')`],
  ])('%s is found', (_title, text) => expect(checkAnyFile({ path: 'src/a.ts', text })).toHaveLength(1));

  test('ordinary prose is left alone', () => {
    expect(checkAnyFile({ path: 'README.md', text: 'what is there to do with shared things in ../docs' })).toEqual([]);
  });
});
