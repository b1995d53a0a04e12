import { chmod, chown, cp, lstat, mkdir, readdir } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import type { Stage } from './dockerfile.ts';
import { startProgram } from './programs.ts';
import { ROOT } from './tools.ts';

/** Who runs the steps: a prefix to their command line, and the ids that own what they make where those can be set. */
export interface BuildUser {
  readonly prefix: readonly string[];
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Runs a Dockerfile's steps in scratch folders, one a stage, as an ordinary user: COPY as Docker would, RUN with the
 * stage's folder for a root. Answers the folder of the last stage. It is no container: absolute paths inside a RUN would
 * reach the machine's own files, so none may be there.
 */
export async function buildImage(stages: readonly Stage[], folder: string, user: BuildUser): Promise<string> {
  const roots = new Map<string, string>();
  let root = folder;
  for (const [number, stage] of stages.entries()) {
    root = join(folder, stage.name ?? `stage-${number}`);
    roots.set(stage.name ?? String(number), root);
    await mkdir(root, { recursive: true });
    await give(root, user);
    await runStage(stage, root, roots, user);
  }
  return root;
}

async function runStage(
  stage: Stage,
  root: string,
  roots: ReadonlyMap<string, string>,
  user: BuildUser,
): Promise<void> {
  let workdir = '/';
  for (const { name, text } of stage.instructions) {
    switch (name) {
      case 'WORKDIR':
        workdir = posix.resolve(workdir, text);
        await mkdir(join(root, workdir), { recursive: true });
        await give(join(root, workdir), user);
        break;
      case 'COPY':
        await copy(text, { root, workdir, roots, user });
        break;
      case 'RUN':
        await runStep(text, join(root, workdir), user);
        break;
      case 'ENV':
      case 'USER':
      case 'EXPOSE':
      case 'HEALTHCHECK':
      case 'ENTRYPOINT':
      case 'CMD':
        break;
      default:
        throw new Error(`this test does not know how to run \`${name}\``);
    }
  }
}

interface Target {
  readonly root: string;
  readonly workdir: string;
  readonly roots: ReadonlyMap<string, string>;
  readonly user: BuildUser;
}

async function copy(text: string, { root, workdir, roots, user }: Target): Promise<void> {
  const words = text.split(/\s+/);
  const from = words[0]?.startsWith('--from=') ? words.shift()?.slice('--from='.length) : undefined;
  const base = from === undefined ? ROOT : roots.get(from);
  const destination = words.pop();
  if (base === undefined || destination === undefined) throw new Error(`\`COPY ${text}\` copies from an unknown stage`);
  const target = join(root, posix.resolve(workdir, destination));
  for (const source of words) {
    const into = destination.endsWith('/') ? join(target, posix.basename(source)) : target;
    await mkdir(dirname(into), { recursive: true });
    await cp(join(base, source), into, { recursive: true, verbatimSymlinks: true });
    await give(into, user);
  }
}

async function runStep(command: string, cwd: string, user: BuildUser): Promise<void> {
  if (/(?:^|\s)\//.test(command)) throw new Error(`\`RUN ${command}\` names an absolute path`);
  const [program, ...args] = [...user.prefix, 'sh', '-c', command];
  const step = startProgram(program, args, { cwd, env: user.env });
  if ((await step.ended) !== 0) throw new Error(`\`RUN ${command}\` failed:\n${step.output()}`);
}

async function give(path: string, { owner }: BuildUser): Promise<void> {
  if (owner === undefined) return;
  await everyFile(path, async (file, isLink) => {
    if (!isLink) await chown(file, owner.uid, owner.gid);
  });
}

/** Takes every right to write away, and ownership too where that can be done. */
export async function makeReadOnly(root: string, user: BuildUser): Promise<void> {
  await everyFile(root, async (file, isLink, mode) => {
    if (isLink) return;
    if (user.owner !== undefined) await chown(file, 0, 0);
    await chmod(file, mode & 0o555);
  });
}

/** Gives the right to write back, so that the folder can be removed. */
export async function makeWritable(root: string): Promise<void> {
  await everyFile(root, async (file, isLink, mode) => {
    if (!isLink) await chmod(file, mode | 0o700);
  });
}

async function everyFile(
  path: string,
  visit: (file: string, isLink: boolean, mode: number) => Promise<void>,
): Promise<void> {
  const stat = await lstat(path);
  await visit(path, stat.isSymbolicLink(), stat.mode & 0o7777);
  if (!stat.isDirectory()) return;
  for (const entry of await readdir(path)) await everyFile(join(path, entry), visit);
}
