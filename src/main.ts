import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { build } from './cli/build.ts';
import { checkConfig } from './cli/check-config.ts';
import { checkData } from './cli/check-data.ts';
import { checkEnvoy } from './cli/check-envoy.ts';
import { type Command, EXIT, type Io } from './cli/command.ts';
import { createEval } from './cli/eval.ts';
import { tellError } from './cli/exit-code.ts';
import { createKeys } from './cli/keys.ts';
import { createServe } from './cli/serve.ts';
import { usage } from './cli/usage.ts';
import { createService, openDecider } from './service.ts';

const HELP = `sallyport: policy-as-code authorization for AI-inference gateways

  sallyport serve --config FILE     answer ext_authz checks of Envoy and others (gRPC and HTTP)
  sallyport check-config [FILE]     name every fault of a config, with line and key
  sallyport build                   compile a policy folder into a bundle (Rego, data, plan, Wasm)
  sallyport check-data [BUNDLE]     what the data of a bundle allows without a charge or a bound
  sallyport check-envoy FILE        every setting of an Envoy that undoes a decision
  sallyport eval                    decide one request and say why
  sallyport keys create|list|...    make, list, rotate and revoke API keys in a keys file
  sallyport usage export|verify     what was used and charged, from the ledger, and whether it is whole
  sallyport COMMAND --help          what a command takes, with examples
  sallyport --version

Exit codes: 0 ok, 1 failed, 2 usage, 3 bad config, 4 bad bundle.
`;

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['serve', createServe({ createService, process })],
  ['check-config', checkConfig],
  ['build', build],
  ['check-data', checkData],
  ['check-envoy', checkEnvoy],
  ['eval', createEval({ openDecider })],
  ['keys', createKeys({ nowMs: () => Date.now(), randomBytes })],
  ['usage', usage],
]);

/** Runs the command that the arguments name and leaves its exit code behind. Never throws. */
export async function run(): Promise<void> {
  // What a start-up allocates lives long, from which V8 concludes that what a check allocates does too, and puts it where
  // only a full collection frees it: scavenges took six times as long (ARCHITECTURE.md, "Choices").
  setFlagsFromString('--no-allocation-site-pretenuring');
  // Nothing that is parsed from a request can then reach other objects through their prototype.
  Object.freeze(Object.prototype);
  const io: Io = {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    cwd: process.cwd(),
    env: process.env,
  };
  process.exitCode = await exitCodeOf(process.argv.slice(2), io);
}

/** The exit code of a command line; faults are told on `stderr`, each with what to do about it. */
export async function exitCodeOf(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv;
  if (name === '--version' || name === '-V') {
    io.stdout(`${version()}\n`);
    return EXIT.ok;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    io.stdout(HELP);
    return EXIT.ok;
  }
  const command = COMMANDS.get(name ?? '');
  if (command === undefined) {
    io.stderr(name === undefined ? HELP : `sallyport: \`${name}\` is no command; \`sallyport --help\` lists them\n`);
    return EXIT.usage;
  }
  try {
    return await command(rest, io);
  } catch (error) {
    return tellError(error, name ?? '', io);
  }
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const { version: number } = JSON.parse(text) as { readonly version: string };
  return `sallyport ${number} (node ${process.versions.node})`;
}

if (import.meta.main) await run();
