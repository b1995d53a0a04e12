import { readFile } from 'node:fs/promises';
import { isObject } from '../decision/json.ts';
import { BundleError } from './errors.ts';

/** How a bundle is built, as a checked-in file says it; paths are relative to the folder that `build` runs in. */
export interface BundleDefinition {
  readonly source: string;
  readonly entrypoints: readonly string[];
  readonly capabilities: string;
  readonly ignore: readonly string[];
  /** Files of request cases, or folders that are searched for them; absent: `source` is searched. */
  readonly cases?: readonly string[];
}

/** Reads a definition such as bundles/authz.json; throws a `BundleError` that names what is wrong with it. */
export async function loadDefinition(file: string): Promise<BundleDefinition> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new BundleError('bundle_missing', `cannot read the bundle definition \`${file}\``, { cause: error });
  }
  return parseDefinition(file, text);
}

export function parseDefinition(file: string, text: string): BundleDefinition {
  const fault = (message: string, cause?: unknown): BundleError =>
    new BundleError('bundle_invalid', `bundle definition \`${file}\`: ${message}`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fault('it is not JSON', error);
  }
  if (!isObject(value)) throw fault('it is not an object');
  const { source, entrypoints, capabilities, ignore = [], cases, ...rest } = value;
  const [unknownKey] = Object.keys(rest);
  if (unknownKey !== undefined) throw fault(`it has the unknown key \`${unknownKey}\``);
  if (typeof source !== 'string' || source === '') throw fault('`source` is not a folder name');
  if (typeof capabilities !== 'string' || capabilities === '') throw fault('`capabilities` is not a file name');
  if (!isTexts(entrypoints) || entrypoints.length === 0) throw fault('`entrypoints` is not a list of entrypoints');
  if (!isTexts(ignore)) throw fault('`ignore` is not a list of patterns');
  if (cases !== undefined && !isTexts(cases)) throw fault('`cases` is not a list of files and folders');
  return { source, entrypoints, capabilities, ignore, ...(cases === undefined ? {} : { cases }) };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '');
}
