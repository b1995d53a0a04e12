import { BundleError } from '../bundle/errors.ts';
import { ConfigError } from '../config/fault.ts';
import { EXIT, type Io, UsageError } from './command.ts';

/** Tells an error on `stderr` in words that say what to do, and answers the exit code that stands for it. */
export function tellError(error: unknown, command: string, io: Io): number {
  if (error instanceof UsageError) {
    io.stderr(`sallyport ${command}: ${error.message}; \`sallyport ${command} --help\` says more\n`);
    return EXIT.usage;
  }
  if (error instanceof ConfigError) {
    io.stderr(`${error.message}\n`);
    return EXIT.badConfig;
  }
  if (error instanceof BundleError) {
    io.stderr(`sallyport ${command}: ${error.message}\n`);
    return EXIT.badBundle;
  }
  io.stderr(`sallyport ${command}: ${error instanceof Error ? error.message : String(error)}\n`);
  return EXIT.failed;
}
