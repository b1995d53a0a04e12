import type { Builtins } from './builtin.ts';
import { CRYPTO_BUILTINS } from './crypto.ts';
import { ENCODING_BUILTINS } from './encoding.ts';
import { JWT_BUILTINS } from './jwt.ts';
import { NET_BUILTINS } from './net.ts';
import { OBJECT_BUILTINS } from './objects.ts';
import { RANDOM_BUILTINS } from './random.ts';
import { REGEX_BUILTINS } from './regex.ts';
import { SEMVER_BUILTINS } from './semver.ts';
import { STRING_BUILTINS } from './strings.ts';
import { TIME_BUILTINS } from './time.ts';
import { UNITS_BUILTINS } from './units.ts';
import { YAML_BUILTINS } from './yaml.ts';

/** Every builtin that this host answers for Wasm; a policy that calls another is refused at load. */
export const BUILTINS: Builtins = new Map([
  ...CRYPTO_BUILTINS,
  ...ENCODING_BUILTINS,
  ...JWT_BUILTINS,
  ...NET_BUILTINS,
  ...OBJECT_BUILTINS,
  ...RANDOM_BUILTINS,
  ...REGEX_BUILTINS,
  ...SEMVER_BUILTINS,
  ...STRING_BUILTINS,
  ...TIME_BUILTINS,
  ...UNITS_BUILTINS,
  ...YAML_BUILTINS,
]);
