import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { parseArguments } from './arguments.ts';
import { type Command, EXIT, UsageError } from './command.ts';

const HELP = `sallyport check-config [FILE]

Reads a config file (default: sallyport.yaml) and names every fault in it at once, each with its line and key.
Opens no bundle and no socket. Exit code 0 when the config is good, 3 when it is not.

  sallyport check-config /etc/sallyport/sallyport.yaml
`;

export const checkConfig: Command = async (argv, io) => {
  const { values, positionals } = parseArguments(argv, { config: { type: 'string' } }, true);
  if (values.help === true) {
    io.stdout(HELP);
    return EXIT.ok;
  }
  const [file = 'sallyport.yaml', ...more] =
    values.config === undefined ? positionals : [values.config, ...positionals];
  if (more.length > 0) throw new UsageError('only one config is checked at a time');
  loadConfig(resolve(io.cwd, file), io.env);
  io.stdout(`${file}: no faults\n`);
  return EXIT.ok;
};
