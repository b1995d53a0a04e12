import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { build } from './cli/build.ts';
import { createBundles } from './cli/bundles.ts';
import { checkConfig } from './cli/check-config.ts';
import { checkData } from './cli/check-data.ts';
import { checkEnvoy } from './cli/check-envoy.ts';
import { type Command, EXIT, type Io } from './cli/command.ts';
import { createEval } from './cli/eval.ts';
import { tellError } from './cli/exit-code.ts';
import { explain } from './cli/explain.ts';
import { fleet } from './cli/fleet.ts';
import { init } from './cli/init.ts';
import { createKeys } from './cli/keys.ts';
import { lint } from './cli/lint.ts';
import { createReplayCommand } from './cli/replay.ts';
import { createServe } from './cli/serve.ts';
import { createTest } from './cli/test.ts';
import { usage } from './cli/usage.ts';
import { createVerify } from './cli/verify.ts';
import { openTrial } from './open-trial.ts';
import { createService, openDecider } from './service.ts';
import { programVersion } from './telemetry/version.ts';

const HELP = `sallyport: policy-as-code authorization for AI-inference gateways

  sallyport serve --config FILE     answer ext_authz checks of Envoy and others (gRPC and HTTP)
  sallyport check-config [FILE]     name every fault of a config, with line and key
  sallyport build                   compile a policy folder into a bundle (Rego, data, plan, Wasm)
  sallyport init DIR                make a policy repo from the shipped example, with its CI file
  sallyport lint [FOLDER]           raw headers and absent inputs in policies
  sallyport test [DEFINITION]       test the policies: Rego tests and request cases, with coverage
  sallyport verify FILE --keys DIR  whether a bundle is believed, and what it claims
  sallyport check-data [BUNDLE]     what the data of a bundle allows without a charge or a bound
  sallyport check-envoy FILE        every setting of an Envoy that undoes a decision
  sallyport eval                    decide one request and say why
  sallyport explain --source        the JavaScript that a bundle's policy becomes
  sallyport replay                  what another bundle would change of logged decisions
  sallyport keys create|list|...    make, list, rotate and revoke API keys in a keys file
  sallyport bundles serve|publish|...  serve signed bundles to a fleet; publish, promote and order them
  sallyport fleet --from URL        which instance runs which revision, and what is odd about it
  sallyport usage export|verify     what was used and charged, from the ledger, and whether it is whole
  sallyport COMMAND --help          what a command takes, with examples
  sallyport --version

Exit codes: 0 ok, 1 failed, 2 usage, 3 bad config, 4 bad bundle.
`;

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['serve', createServe({ createService, process })],
  ['check-config', checkConfig],
  ['build', build],
  ['verify', createVerify({ nowMs: () => Date.now() })],
  ['check-data', checkData],
  ['check-envoy', checkEnvoy],
  ['init', init],
  ['lint', lint],
  ['test', createTest({ openTrial })],
  ['eval', createEval({ openDecider, openTrial })],
  ['explain', explain],
  ['replay', createReplayCommand({ openTrial })],
  ['keys', createKeys({ nowMs: () => Date.now(), randomBytes })],
  ['bundles', createBundles({ nowMs: () => Date.now(), process })],
  ['fleet', fleet],
  ['usage', usage],
]);

function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.ok);
}

/** Runs the command that the arguments name and leaves its exit code behind. Never throws. */
export async function run(): Promise<void> {
  // What a start-up allocates lives long, from which V8 concludes that what a check allocates does too, and puts it where
  // only a full collection frees it: scavenges took six times as long (ARCHITECTURE.md, "Choices").
  setFlagsFromString('--no-allocation-site-pretenuring');
  // node:http2 makes a string of every header outside the heap, and a full collection frees them one by one while nothing
  // is answered. The more often it comes, the shorter it is: 40 ms instead of 150 to 300 (ARCHITECTURE.md, "Choices").
  const serves = process.argv[2] === 'serve';
  if (serves) setFlagsFromString('--heap-growing-percent=50');
  // Nothing that is parsed from a request can then reach other objects through their prototype.
  Object.freeze(Object.prototype);
  // `sallyport explain --source | head`: whoever reads no further has what he wanted. A service goes on being heard or fails.
  if (!serves) process.stdout.on('error', endQuietly);
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
  return `sallyport ${programVersion()} (node ${process.versions.node})`;
}

if (import.meta.main) await run();
