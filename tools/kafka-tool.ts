import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ToolContext, toolsFolder } from '../src/bundle/opa-tool.ts';
import { demandMaven, findJava, runMavenDependency } from './java.ts';

/** The broker that the sink for Kafka is tested with. */
export const KAFKA_VERSION = '4.4.0';
/** The oldest Java that runs it. */
export const KAFKA_JAVA = 17;

/** The folder of its jars, if they are there and a Java to run them. */
export async function findKafka(env: ToolContext['env']): Promise<string | undefined> {
  const folder = folderOf(env);
  try {
    // Put in place in one step, so that one of them stands for all.
    await access(join(folder, `kafka_2.13-${KAFKA_VERSION}.jar`));
  } catch {
    return undefined;
  }
  return (await findJava(KAFKA_JAVA, env)) === undefined ? undefined : folder;
}

/** Has Maven copy the broker's jar and what it depends on. */
export async function fetchKafka({ env, report }: ToolContext): Promise<string> {
  await demandMaven(KAFKA_JAVA, env);
  const folder = folderOf(env);
  const parent = join(folder, '..');
  await mkdir(parent, { recursive: true });
  const scratch = await mkdtemp(join(parent, '.partial-'));
  try {
    report(`kafka ${KAFKA_VERSION}: copying its jars with \`mvn dependency:copy-dependencies\``);
    await writeFile(join(scratch, 'pom.xml'), PROJECT);
    const jars = join(scratch, 'jars');
    await runMavenDependency('copy-dependencies', [`-DoutputDirectory=${jars}`], { env, cwd: scratch });
    await rm(folder, { recursive: true, force: true });
    await rename(jars, folder);
    return folder;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const PROJECT = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>sallyport.tools</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${KAFKA_VERSION}</version>
    </dependency>
  </dependencies>
</project>
`;

function folderOf(env: ToolContext['env']): string {
  return join(toolsFolder(env), 'kafka', KAFKA_VERSION);
}
