import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { describeWith } from '../support/describe-with.ts';
import { ROOT, toolOrSkip } from '../support/tools.ts';

const run = promisify(execFile);
const opa = toolOrSkip('opa') ?? 'opa';

interface Mutant {
  readonly file: string;
  readonly without: string;
  readonly text: string;
}

/** Each rule of a formatted file taken away, and each line of each rule's body. */
function mutantsOf(file: string, text: string): readonly Mutant[] {
  // `opa fmt` puts an empty line between rules and indents all that belongs to one.
  const blocks = text.split(/\n\n(?=\S)/);
  return blocks.flatMap((block, at) => {
    const code = block.replaceAll(/^#.*\n/gm, '');
    if (/^(package|import) /.test(code)) return [];
    const replaced = (by: string): string => blocks.with(at, by).join('\n\n');
    const lines = code.split('\n');
    const withoutLine = lines.flatMap((line, index) =>
      /^\t[^\t}#]/.test(line) && lines.length > 3
        ? [{ file, without: `${lines[0]} … ${line.trim()}`, text: replaced(lines.toSpliced(index, 1).join('\n')) }]
        : [],
    );
    return [{ file, without: lines[0] ?? '', text: replaced('') }, ...withoutLine];
  });
}

describeWith(['opa'], 'the shipped policies', () => {
  it('have a test that fails without each rule, and without each condition of a rule', async () => {
    const names = (await readdir(join(ROOT, 'policies'), { recursive: true })).filter(
      (name) => name.endsWith('.rego') && !name.endsWith('_test.rego'),
    );
    const mutants: Mutant[] = [];
    for (const name of names) mutants.push(...mutantsOf(name, await readFile(join(ROOT, 'policies', name), 'utf8')));
    expect(mutants.length).toBeGreaterThan(40);

    const scratch = await mkdtemp(join(tmpdir(), 'sallyport-mutants-'));
    const survivors: string[] = [];
    try {
      const judge = async (mutant: Mutant, folder: string): Promise<void> => {
        await cp(join(ROOT, 'policies'), folder, { recursive: true });
        await writeFile(join(folder, mutant.file), mutant.text);
        const passes = (...only: readonly string[]): Promise<boolean> =>
          run(opa, ['test', '--bundle', folder, ...only]).then(
            () => true,
            () => false,
          );
        // Most fail a test of their own package, which is sooner known.
        const own = ['--run', `data\\.${dirname(mutant.file)}`];
        if ((await passes(...own)) && (await passes())) survivors.push(`${mutant.file}: ${mutant.without}`);
      };
      const queue = [...mutants];
      const worker = async (folder: string): Promise<void> => {
        for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) await judge(mutant, folder);
      };
      await Promise.all([worker(join(scratch, 'a')), worker(join(scratch, 'b'))]);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
    console.info(`policies: ${mutants.length} mutants, ${survivors.length} survived`);
    expect(survivors).toEqual([]);
  }, 300_000);
});
