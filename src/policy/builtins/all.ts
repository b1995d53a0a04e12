import { AFFIX_BUILTINS } from './affixes.ts';
import { AGGREGATE_BUILTINS } from './aggregates.ts';
import { ARITHMETIC_BUILTINS } from './arithmetic.ts';
import { ARRAY_BUILTINS } from './arrays.ts';
import { BITS_BUILTINS } from './bits.ts';
import type { Builtins } from './builtin.ts';
import { CAST_BUILTINS } from './casts.ts';
import { COMPARISON_BUILTINS } from './comparison.ts';
import { CRYPTO_BUILTINS } from './crypto.ts';
import { ENCODING_BUILTINS } from './encoding.ts';
import { GLOB_BUILTINS } from './glob.ts';
import { GRAPH_BUILTINS } from './graph.ts';
import { JSON_BUILTINS } from './json.ts';
import { JWT_BUILTINS } from './jwt.ts';
import { MEMBERSHIP_BUILTINS } from './membership.ts';
import { NET_BUILTINS } from './net.ts';
import { NUMBER_BUILTINS } from './numbers.ts';
import { OBJECT_BUILTINS } from './objects.ts';
import { PRINT_BUILTINS } from './print.ts';
import { RANDOM_BUILTINS } from './random.ts';
import { REGEX_BUILTINS } from './regex.ts';
import { REPLACE_BUILTINS } from './replace.ts';
import { SEMVER_BUILTINS } from './semver.ts';
import { SET_BUILTINS } from './sets.ts';
import { STRING_BUILTINS } from './strings.ts';
import { TIME_BUILTINS } from './time.ts';
import { TRIM_BUILTINS } from './trim.ts';
import { TYPE_BUILTINS } from './types.ts';
import { UNITS_BUILTINS } from './units.ts';
import { URI_BUILTINS } from './uri.ts';
import { WALK_BUILTINS } from './walk.ts';
import { X509_BUILTINS } from './x509.ts';
import { YAML_BUILTINS } from './yaml.ts';

/** Every builtin that is here, for every engine; a policy that calls another is refused at load. */
export const BUILTINS: Builtins = new Map([
  ...AFFIX_BUILTINS,
  ...AGGREGATE_BUILTINS,
  ...ARITHMETIC_BUILTINS,
  ...ARRAY_BUILTINS,
  ...BITS_BUILTINS,
  ...CAST_BUILTINS,
  ...COMPARISON_BUILTINS,
  ...CRYPTO_BUILTINS,
  ...ENCODING_BUILTINS,
  ...GLOB_BUILTINS,
  ...GRAPH_BUILTINS,
  ...JSON_BUILTINS,
  ...JWT_BUILTINS,
  ...MEMBERSHIP_BUILTINS,
  ...NET_BUILTINS,
  ...NUMBER_BUILTINS,
  ...OBJECT_BUILTINS,
  ...PRINT_BUILTINS,
  ...RANDOM_BUILTINS,
  ...REGEX_BUILTINS,
  ...REPLACE_BUILTINS,
  ...SEMVER_BUILTINS,
  ...SET_BUILTINS,
  ...STRING_BUILTINS,
  ...TIME_BUILTINS,
  ...TRIM_BUILTINS,
  ...TYPE_BUILTINS,
  ...UNITS_BUILTINS,
  ...URI_BUILTINS,
  ...WALK_BUILTINS,
  ...X509_BUILTINS,
  ...YAML_BUILTINS,
]);
