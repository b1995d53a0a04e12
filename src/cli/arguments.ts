import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from './command.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

/** `parseArgs` of Node, strict, its faults as {@link UsageError}; `--help` is known to every command. */
export function parseArguments<const O extends Options>(argv: readonly string[], options: O, allowPositionals = false) {
  try {
    return parseArgs({
      args: [...argv],
      options: { ...options, help: { type: 'boolean', short: 'h', default: false } },
      allowPositionals,
      strict: true,
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? firstSentence(error.message) : String(error));
  }
}

function firstSentence(message: string): string {
  const [sentence = message] = message.split('. ');
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}
