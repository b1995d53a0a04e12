import { execFile } from 'node:child_process';
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ToolContext, ToolMissing } from '../src/bundle/opa-tool.ts';

/** The home of a Java of at least this version: `JAVA_HOME`, the one on PATH, or one where Debian puts them. */
export async function findJava(atLeast: number, env: ToolContext['env']): Promise<string | undefined> {
  const installed = (await readdir(PLACE).catch(() => [])).map((name) => join(PLACE, name));
  const homes = [env['JAVA_HOME'] ?? '', ...(await homesOnPath(env)), ...installed];
  for (const home of homes) {
    if (home !== '' && (await versionOf(join(home, 'bin/java'))) >= atLeast) return home;
  }
  return undefined;
}

/** Throws a `ToolMissing` that says what to install, for what comes from Maven Central and runs on this Java. */
export async function demandMaven(atLeast: number, env: ToolContext['env']): Promise<void> {
  if ((await findJava(atLeast, env)) === undefined) {
    throw new ToolMissing(
      `it runs on Java ${atLeast} or newer, and there is none in \`JAVA_HOME\`, on PATH or in ${PLACE}`,
    );
  }
  try {
    await run('mvn', ['--version'], { env, timeout: 60_000 });
  } catch (cause) {
    throw new ToolMissing('it comes by Maven, and there is no `mvn` on PATH: install Maven', { cause });
  }
}

/** Runs a goal of Maven's dependency plugin, pinned; artefacts that do not have their published checksum are refused. */
export async function runMavenDependency(
  goal: string,
  settings: readonly string[],
  { env, cwd }: { readonly env: ToolContext['env']; readonly cwd: string },
): Promise<void> {
  const whole = `org.apache.maven.plugins:maven-dependency-plugin:2.8:${goal}`;
  await run('mvn', ['-q', '-B', '-C', whole, ...settings], { env, cwd, timeout: 900_000, maxBuffer: 2 ** 24 });
}

const PLACE = '/usr/lib/jvm';

const run = promisify(execFile);

async function homesOnPath(env: ToolContext['env']): Promise<readonly string[]> {
  try {
    const { stderr } = await run('java', ['-XshowSettings:properties', '-version'], { env, timeout: 60_000 });
    const home = /^\s*java\.home = (.+)$/m.exec(stderr)?.[1];
    return home === undefined ? [] : [home];
  } catch {
    return [];
  }
}

async function versionOf(java: string): Promise<number> {
  try {
    await access(java);
    const { stderr } = await run(java, ['-version'], { timeout: 60_000 });
    return Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
