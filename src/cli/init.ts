import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isObject } from '../decision/json.ts';
import { parseArguments } from './arguments.ts';
import { type Command, EXIT, UsageError } from './command.ts';
import { GIT_IGNORE, README } from './init/readme.ts';
import { workflowText } from './init/workflow.ts';

const HELP = `sallyport init DIR

Makes a repo for policies in an empty folder, from the example that Sallyport ships: rules with their tests, data,
request cases, the definition of the bundle, README, .gitignore, and a CI file for GitHub Actions that tests, lints,
builds and signs.

  sallyport init my-policies
  cd my-policies && sallyport test

Exit codes: 0 made, 1 it cannot be written, 2 usage, or the folder is not empty.
`;

/** `sallyport init`: a policy repo to start from. */
export const init: Command = async (argv, io) => {
  const { values, positionals } = parseArguments(argv, {}, true);
  if (values.help === true) {
    io.stdout(HELP);
    return EXIT.ok;
  }
  const [folder, ...more] = positionals;
  if (folder === undefined || more.length > 0) throw new UsageError('takes the one folder to make');
  const root = resolve(io.cwd, folder);
  await demandEmpty(root, folder);
  await mkdir(join(root, '.github/workflows'), { recursive: true });
  await mkdir(join(root, 'bundles'));
  await cp(shipped('policies'), join(root, 'policies'), { recursive: true, errorOnExist: true });
  for (const file of ['bundles/authz.json', 'bundles/capabilities.json']) await cp(shipped(file), join(root, file));
  const workflow = workflowText(`sallyport@${await shippedVersion()}`);
  await writeFile(join(root, '.github/workflows/policy.yml'), workflow, NEW);
  await writeFile(join(root, 'README.md'), README, NEW);
  await writeFile(join(root, '.gitignore'), GIT_IGNORE, NEW);
  io.stdout(`${folder}: a policy repo; next: cd ${folder} && sallyport test\n`);
  return EXIT.ok;
};

/** Whatever appeared meanwhile is somebody's. */
const NEW = { flag: 'wx' } as const;

async function demandEmpty(root: string, folder: string): Promise<void> {
  let names: readonly string[];
  try {
    names = await readdir(root);
  } catch (error) {
    // NodeJS.ErrnoException is what fs rejects with.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    throw new UsageError(`\`${folder}\` is no folder`, { cause: error });
  }
  if (names.length > 0) throw new UsageError(`\`${folder}\` is not empty: name a folder that is not there yet`);
}

/** A path of the package that Sallyport is in. */
function shipped(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

async function shippedVersion(): Promise<string> {
  const text: unknown = JSON.parse(await readFile(shipped('package.json'), 'utf8'));
  return isObject(text) && typeof text['version'] === 'string' ? text['version'] : 'latest';
}
