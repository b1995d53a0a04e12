import { createPrivateKey } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admin, Consumer } from '@platformatic/kafka';
import { findJava } from '../../tools/java.ts';
import { findKafka, KAFKA_JAVA } from '../../tools/kafka-tool.ts';
import type { CertificateFiles } from './certificates.ts';
import { freePorts } from './ports.ts';
import { eventually, type Program, startProgram } from './programs.ts';

/** A Kafka broker of a test, its own controller, on a port and folder that it keeps. */
export interface KafkaBroker {
  /** `host:port`. */
  readonly address: string;
  /** The same for clients with TLS, by the CA of `secured`, who are the user `writer` with this password. */
  readonly securedAddress: string;
  createTopic(topic: string): Promise<void>;
  /** Everything in a topic, from its beginning, until there are `count` different values or it takes too long. */
  read(topic: string, isEnough: (values: readonly KafkaMessage[]) => boolean): Promise<readonly KafkaMessage[]>;
  /** SIGKILL. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  remove(): Promise<void>;
}

export interface KafkaMessage {
  readonly key: string;
  readonly value: string;
}

/** What a broker needs of this machine; `undefined` with a line on the console where the tests are skipped. */
export async function kafkaOrSkip(): Promise<{ readonly jars: string; readonly java: string } | undefined> {
  const jars = await findKafka(process.env);
  const home = await findJava(KAFKA_JAVA, process.env);
  if (jars !== undefined && home !== undefined) return { jars, java: join(home, 'bin/java') };
  console.warn(`skipping: Kafka is not in .tools/, or there is no Java ${KAFKA_JAVA}: run \`npm run tools\``);
  return undefined;
}

export async function startKafka(
  { jars, java }: { readonly jars: string; readonly java: string },
  secured: CertificateFiles & { readonly password: string },
): Promise<KafkaBroker> {
  const [port = 0, securedPort = 0, controllerPort = 0] = await freePorts(3);
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-kafka-'));
  const address = `127.0.0.1:${port}`;
  const settings = join(folder, 'server.properties');
  const key = createPrivateKey(await readFile(secured.key)).export({ type: 'pkcs8', format: 'pem' });
  await writeFile(join(folder, 'server.pem'), `${String(key)}${await readFile(secured.cert, 'utf8')}`);
  await writeFile(settings, settingsOf(folder, { port, securedPort, controllerPort }, secured.password));
  const runJava = (...args: readonly string[]): Program =>
    startProgram(java, ['-Xmx256m', '-XX:+UseSerialGC', '-cp', join(jars, '*'), ...args]);
  await runJava('kafka.tools.StorageTool', 'format', '-t', 'c2FsbHlwb3J0LXRlc3RzIQ', '-c', settings).ended;

  const start = async (): Promise<Program> => {
    const program = runJava('kafka.Kafka', settings);
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [address], retries: 0, connectTimeout: 500 });
    try {
      await eventually(() => admin.listTopics(), 60_000);
    } finally {
      await admin.close();
    }
    return program;
  };
  let program = await start();

  return {
    address,
    securedAddress: `localhost:${securedPort}`,
    createTopic: async (topic) => {
      const admin = new Admin({ clientId: 'test', bootstrapBrokers: [address] });
      await admin.createTopics({ topics: [topic], partitions: 3, replicas: 1 });
      await admin.close();
    },
    read: async (topic, isEnough) => {
      const consumer = new Consumer({
        clientId: 'test',
        groupId: `test-${performance.now()}`,
        bootstrapBrokers: [address],
      });
      const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false });
      const messages: KafkaMessage[] = [];
      stream.on('data', ({ key, value }) => {
        messages.push({ key: String(key), value: String(value) });
      });
      try {
        await eventually(() => (isEnough(messages) ? true : undefined), 30_000);
      } finally {
        await stream.close();
        await consumer.close(true);
      }
      return messages;
    },
    kill: async () => {
      program.signal('SIGKILL');
      await program.ended;
    },
    restart: async () => {
      await program.stop();
      program = await start();
    },
    remove: async () => {
      await program.stop(2_000);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function settingsOf(
  folder: string,
  { port, securedPort, controllerPort }: { readonly [name in 'port' | 'securedPort' | 'controllerPort']: number },
  password: string,
): string {
  return [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},SASL_SSL://127.0.0.1:${securedPort},CONTROLLER://127.0.0.1:${controllerPort}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port},SASL_SSL://localhost:${securedPort}`,
    'controller.listener.names=CONTROLLER',
    'inter.broker.listener.name=PLAINTEXT',
    'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL',
    'sasl.enabled.mechanisms=PLAIN',
    `listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_writer="${password}";`,
    'listener.name.sasl_ssl.ssl.keystore.type=PEM',
    `listener.name.sasl_ssl.ssl.keystore.location=${join(folder, 'server.pem')}`,
    `log.dirs=${join(folder, 'data')}`,
    'offsets.topic.replication.factor=1',
    'offsets.topic.num.partitions=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'group.initial.rebalance.delay.ms=0',
    '',
  ].join('\n');
}
