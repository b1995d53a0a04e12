import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ToolContext, toolsFolder } from '../src/bundle/opa-tool.ts';
import { demandMaven, findJava, runMavenDependency } from './java.ts';

/** The server that the sink for `_bulk` is tested with. */
export const OPENSEARCH_VERSION = '3.6.0';
/** The oldest Java that runs it. */
export const OPENSEARCH_JAVA = 21;

/** Its folder, if it is there and a Java to run it. */
export async function findOpenSearch(env: ToolContext['env']): Promise<string | undefined> {
  const folder = folderOf(env);
  try {
    await access(join(folder, 'bin/opensearch'));
  } catch {
    return undefined;
  }
  return (await findJava(OPENSEARCH_JAVA, env)) === undefined ? undefined : folder;
}

/** Has Maven unpack the distribution that OpenSearch publishes for tests: the server without plugins. */
export async function fetchOpenSearch({ env, report }: ToolContext): Promise<string> {
  await demandMaven(OPENSEARCH_JAVA, env);
  const folder = folderOf(env);
  const parent = join(folder, '..');
  await mkdir(parent, { recursive: true });
  const scratch = await mkdtemp(join(parent, '.partial-'));
  try {
    report(`opensearch ${OPENSEARCH_VERSION}: unpacking \`${ARTIFACT}\` with \`mvn dependency:unpack\``);
    const settings = [`-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${scratch}`];
    await runMavenDependency('unpack', settings, { env, cwd: scratch });
    await rm(folder, { recursive: true, force: true });
    await rename(join(scratch, `opensearch-${OPENSEARCH_VERSION}`), folder);
    return folder;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const ARTIFACT = `org.opensearch.distribution.integ-test-zip:opensearch:${OPENSEARCH_VERSION}:zip`;

function folderOf(env: ToolContext['env']): string {
  return join(toolsFolder(env), 'opensearch', OPENSEARCH_VERSION);
}
