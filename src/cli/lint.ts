import { readdir, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { BundleError } from '../bundle/errors.ts';
import { requireOpa } from '../bundle/opa-tool.ts';
import { parseArguments } from './arguments.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';
import type { Finding } from './lint/findings.ts';
import { lintModule } from './lint/lint-module.ts';
import { parseRego } from './lint/rego-module.ts';

const HELP = `sallyport lint [FOLDER] [--json]

Finds in the Rego of a folder (default: policies; tests are left out) what is likely not what its author means:

  raw-header         a header is read as the client sent it, where \`input\` has the answer verified or canonical
  absent-comparison  an order or \`!=\` of an input that may be absent: then it is undefined, and a rule that refuses is
                     silent; \`null\` and texts compare with numbers too
  absent-negation    a \`not\` in a rule that permits, which holds where the input is absent
  never-null         a comparison with \`null\` of an input that is absent where there is none

  sallyport lint
  sallyport lint my-policies --json

A finding that is meant is ignored with a comment on its line or on the line before:

  # sallyport:ignore raw-header

Exit codes: 0 nothing found, 1 something found, 2 usage, 4 a file does not parse or the folder is missing.
`;

const OPTIONS = { json: { type: 'boolean', default: false } } as const;

interface FileFinding extends Finding {
  readonly file: string;
}

/** `sallyport lint`: what in a policy is likely not meant. */
export const lint: Command = async (argv, io) => {
  const { values, positionals } = parseArguments(argv, OPTIONS, true);
  if (values.help === true) {
    io.stdout(HELP);
    return EXIT.ok;
  }
  const [folder = 'policies', ...more] = positionals;
  if (more.length > 0) throw new UsageError('only one folder is looked through at a time');
  const files = await regoFiles(resolve(io.cwd, folder));
  const opa = await requireOpa({ env: io.env, report: (line) => io.stderr(`${line}\n`) });
  const findings: FileFinding[] = [];
  for (const path of files) {
    const file = relative(io.cwd, path);
    for (const finding of lintModule(await parseRego(opa, path))) findings.push({ file, ...finding });
  }
  tell(findings, files.length, values.json, io);
  return findings.length === 0 ? EXIT.ok : EXIT.failed;
};

function tell(findings: readonly FileFinding[], files: number, json: boolean, io: Io): void {
  if (json) {
    io.stdout(`${JSON.stringify({ files, findings }, undefined, 2)}\n`);
    return;
  }
  for (const { file, row, column, rule, message } of findings)
    io.stdout(`${file}:${row}:${column}: ${rule}: ${message}\n`);
  io.stdout(`${files} files, ${findings.length} findings\n`);
}

async function regoFiles(folder: string): Promise<readonly string[]> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isFile() === true) return [folder];
  if (found?.isDirectory() !== true) throw new BundleError('bundle_missing', `\`${folder}\` is not a folder`);
  const names = await readdir(folder, { recursive: true });
  return names
    .filter((name) => name.endsWith('.rego') && !name.endsWith('_test.rego'))
    .sort()
    .map((name) => join(folder, name));
}
